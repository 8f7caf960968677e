"""A page of the gallery at a hundred thousand samples, beside one at a thousand."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.benchmarks import Measure, _database, alternately

if TYPE_CHECKING:  # at run time nothing that knows models comes before the database
    from evalhub.studies.models import Study, User

CONTESTANTS = 20
PROMPTS, FEW = 5_000, 50
PAGES, ROUNDS = 5, 9


def measure(prompts: int = PROMPTS, few: int = FEW) -> Iterator[Measure]:
    _database.start()
    from evalhub.studies.models import Membership, Role, User
    from tests.benchmarks import _filled

    small, large = (
        _filled.filled_study(f"gallery-{number}", 1_000, contestants=CONTESTANTS, prompts=number)
        for number in (few, prompts)
    )
    _filled.settle()
    reader = User.objects.create_user("reader-of-galleries")
    for study in (small, large):
        Membership.objects.create(study=study, user=reader, role=Role.VIEWER)
    theirs, ours = alternately(*(_views(study, reader) for study in (small, large)), times=ROUNDS)
    yield Measure(
        f"page of the gallery at {CONTESTANTS * prompts:,} samples",
        [1_000 * reading / PAGES for reading in ours],
        f"at {CONTESTANTS * few:,}",
        [1_000 * reading / PAGES for reading in theirs],
        goal=1 / 1.2,
        unit="ms",
        note="its thumbnails are fetched by the browser as they come into sight",
    )


def _views(study: "Study", reader: "User") -> Callable[[], None]:
    """Pages from the middle of the gallery, as a viewer gets them."""
    from django.test import Client
    from django.urls import reverse

    client = Client(SERVER_NAME="localhost")
    client.force_login(reader)
    first = 1 + study.prompts.count() // 48
    address = f"{reverse('gallery', args=[study.slug])}?page="

    def view() -> None:
        for page in range(PAGES):
            answer = client.get(f"{address}{first + page % 2}")
            assert answer.status_code == 200
            assert "Contestant" in answer.content.decode()

    return view
