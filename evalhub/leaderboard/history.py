"""The fits of one question, one after the other: how ratings came about, and a permanent link to each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalhub.studies.models import Checkpoint, Criterion, Study
from raters.models import Fit, FitQuerySet, FitState, Rating

PAGE = 25
# A curve is drawn through so many fits, of the newest so many.
MOST_DRAWN, MOST_LOOKED_AT = 60, 2000


@dataclass(frozen=True)
class Trace:
    """A contestant's ratings over the fits, the oldest first."""

    checkpoint: Checkpoint
    ratings: tuple[tuple[Fit, Rating], ...]


def fits_of(study: Study, criterion: Criterion | None, slice: Mapping[str, Any]) -> FitQuerySet:
    """The finished fits of a question, the newest first, without their matrices."""
    return (
        Fit.objects.of(study, criterion, slice).filter(state=FitState.DONE).defer("pairing", "head_to_head", "inputs")
    )


def traces(fits: FitQuerySet) -> list[Trace]:
    """Everybody's ratings in some of the fits, evenly chosen, the newest among them; best by the newest first."""
    chosen = _evenly(list(fits.values_list("pk", flat=True)[:MOST_LOOKED_AT]))
    ratings = Rating.objects.filter(fit__in=chosen, rating__isnull=False).select_related("checkpoint", "fit")
    ratings = ratings.defer("fit__pairing", "fit__head_to_head", "fit__inputs", "fit__separations", "fit__influence")
    by_contestant: dict[Checkpoint, list[tuple[Fit, Rating]]] = {}
    for rating in ratings.order_by("fit__created_at"):
        by_contestant.setdefault(rating.checkpoint, []).append((rating.fit, rating))
    found = [Trace(checkpoint, tuple(points)) for checkpoint, points in by_contestant.items()]
    return sorted(found, key=lambda trace: (-(trace.ratings[-1][1].rating or 0), str(trace.checkpoint)))


def _evenly(newest_first: Sequence[Any]) -> list[Any]:
    """At most MOST_DRAWN of them, the first and the last included."""
    last = len(newest_first) - 1
    if last < MOST_DRAWN:
        return list(newest_first)
    return [newest_first[round(place * last / (MOST_DRAWN - 1))] for place in range(MOST_DRAWN)]
