"""The next comparison of a study with a million votes, beside that of a study with a thousand; and that of a rater who
has seen five thousand pairs, beside that of a new one."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.benchmarks import Measure, _database, alternately

if TYPE_CHECKING:  # at run time nothing that knows models comes before the database
    from evalhub.studies.models import Study
    from raters.models import Enrolment

VOTES, FEW, OWN = 1_000_000, 1_000, 5_000
DRAWS, ROUNDS = 40, 9


def measure(votes: int = VOTES, few: int = FEW, own: int = OWN, draws: int = DRAWS) -> Iterator[Measure]:
    _database.start()
    from raters.services import refit
    from tests.benchmarks import _filled

    small, large = (_filled.filled_study(f"votes-{number}", number) for number in (few, votes))
    veterans = _filled.filled_study("veterans", own, raters=1)
    for study in (small, large, veterans):
        refit(study=study)
    _filled.settle()

    theirs, ours = alternately(
        *(_draws(_newcomers(_filled.new_rater, study, draws), draws) for study in (small, large)), times=ROUNDS
    )
    yield Measure(
        f"draw a new rater's next comparison at {votes:,} votes",
        _milliseconds(ours, draws),
        f"at {few:,} votes",
        _milliseconds(theirs, draws),
        goal=1 / 1.2,
        unit="ms",
    )
    veteran = veterans.enrolments.get()
    ours, theirs = alternately(
        _draws(iter(lambda: veteran, None), draws),
        _draws(_newcomers(_filled.new_rater, veterans, draws), draws),
        times=ROUNDS,
    )
    yield Measure(
        f"draw the next comparison of a rater who has answered {own:,}",
        _milliseconds(ours, draws),
        "of a new rater",
        _milliseconds(theirs, draws),
        goal=None,
        unit="ms",
    )


def _newcomers(new_rater: "Callable[[Study], Enrolment]", study: "Study", draws: int) -> "Iterator[Enrolment]":
    """Raters made beforehand, one for each draw of every round and of the one that warms up."""
    return iter([new_rater(study) for _ in range(draws * (ROUNDS + 1))])


def _draws(enrolments: "Iterator[Enrolment]", draws: int) -> Callable[[], None]:
    """So many draws; each is answered, as far as the draw's table knows, so that the next one is a draw again."""
    from django.utils import timezone

    from raters.models import Comparison
    from raters.services import next_comparison

    def draw() -> None:
        for _ in range(draws):
            enrolment = next(enrolments)
            drawn = next_comparison(study=enrolment.study, rater=enrolment.rater)
            assert drawn is not None
            Comparison.objects.filter(pk=drawn.pk).update(answered_at=timezone.now())

    return draw


def _milliseconds(readings: list[float], draws: int) -> list[float]:
    return [1_000 * reading / draws for reading in readings]
