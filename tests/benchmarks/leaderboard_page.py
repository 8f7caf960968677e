"""The leaderboard's page of a study with a million votes, beside that of a study with a thousand; and how long the
refit behind it takes."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.benchmarks import Claim, Measure, _database, alternately, seconds

if TYPE_CHECKING:  # at run time nothing that knows models comes before the database
    from evalhub.studies.models import Study, User

VOTES, FEW = 1_000_000, 1_000
PAGES, ROUNDS = 5, 9


def measure(votes: int = VOTES, few: int = FEW, pages: int = PAGES) -> Iterator[Measure | Claim]:
    _database.start()

    from evalhub.studies.models import Membership, Role, User
    from raters.services import refit
    from tests.benchmarks import _filled

    small, large = (_filled.filled_study(f"votes-{number}", number) for number in (few, votes))
    _filled.settle()
    refit(study=small)
    taken = seconds(lambda: refit(study=large))
    yield Claim(f"refit of {votes:,} votes, with separations, agreement and influence", taken, unit="s")
    _filled.settle()

    reader = User.objects.create_user("reader-of-leaderboards")
    for study in (small, large):
        Membership.objects.create(study=study, user=reader, role=Role.OWNER)
    theirs, ours = alternately(*(_views(study, reader, pages) for study in (small, large)), times=ROUNDS)
    yield Measure(
        f"leaderboard's page at {votes:,} votes",
        [1_000 * reading / pages for reading in ours],
        f"at {few:,} votes",
        [1_000 * reading / pages for reading in theirs],
        goal=1 / 1.2,
        unit="ms",
    )


def _views(study: "Study", reader: "User", pages: int) -> Callable[[], None]:
    """The page, so many times, as its owner gets it."""
    from django.test import Client
    from django.urls import reverse

    client = Client(SERVER_NAME="localhost")
    client.force_login(reader)
    address = reverse("study", args=[study.slug])

    def view() -> None:
        for _ in range(pages):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "Contestant 000" in answer.content.decode()

    return view
