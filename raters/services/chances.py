"""With which chance each pair of contestants is drawn for a rater.

At least a tenth of the draws (`LEAST_UNIFORM`) fall evenly on all pairs that she can be shown at that moment. The
others follow the weights that the newest fit of each question left in `Fit.pairing`; a contestant that a fit does not
know yet is as welcome as the most wanted pair. Before there is a fit, pairs across groups that nothing links yet come
first, then the least compared ones. Neither way reads a vote or counts a comparison.
"""

import uuid
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.db.models import OuterRef, Subquery

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import Criterion, Study
from raters.models import Fit, PairCount, Reason
from raters.ranking import pair_probabilities
from raters.ranking.pairing import LEAST_UNIFORM
from raters.ranking.votes import Floats
from raters.services.offers import Integers, Mask

Contestants = tuple[uuid.UUID, ...]

_newest_of_each = Prepared(
    lambda: (
        Criterion.objects.filter(study=Slot("study"))
        .annotate(
            fit=Subquery(
                Fit.objects.official()
                .done()
                .filter(study=Slot("study"), criterion=OuterRef("pk"))
                .order_by("-created_at")
                .values("pk")[:1]
            )
        )
        .values_list("fit")
    )
)
_totals = Prepared(
    lambda: PairCount.objects.totals().filter(study=Slot("study")).values_list("first", "second", "comparisons")
)


@dataclass(frozen=True, eq=False)
class Wishes:
    """What the uneven part of a draw follows: (K, K) weights of the pairs, and where they came from."""

    weights: Floats
    reason: Reason


def wishes(study: Study, contestants: Contestants, competing: Mask) -> Wishes:
    """How much each pair is wanted now, whoever is asked.

    Args:
        contestants: K ids, in the order of the columns.
        competing: (K,) which of them are offered to anybody.
    """
    weights = _weights_of_fits(_newest_fits(study), contestants)
    if weights is None:
        return Wishes(_weights_by_least(study, contestants, competing), Reason.LEAST)
    return Wishes(weights, Reason.INFORMATION)


def chances(wanted: Wishes, allowed: Mask) -> Floats:
    """The probability of each pair to be drawn now.

    Args: allowed: (K, K) symmetric, which pairs this rater can be shown; at least one.
    Returns: (K, K) symmetric, 0 where not allowed; the upper triangle sums to 1.
    """
    even = allowed / np.triu(allowed).sum()
    uneven = np.where(allowed, wanted.weights, 0.0)
    total = np.triu(uneven).sum()
    if not total > 0:
        return np.asarray(even)
    return np.asarray(LEAST_UNIFORM * even + (1 - LEAST_UNIFORM) * uneven / total)


def _newest_fits(study: Study) -> tuple[uuid.UUID, ...]:
    """The newest ranking of each question."""
    return tuple(fit for (fit,) in _newest_of_each(study=study.pk) if fit is not None)


@lru_cache(maxsize=64)
def _weights_of_fits(fits: tuple[uuid.UUID, ...], contestants: Contestants) -> Floats | None:
    """(K, K) the mean of what the fits want, None when none of them says. Fits are frozen, so this can be kept."""
    pairings = [pairing for pairing in Fit.objects.filter(pk__in=fits).values_list("pairing", flat=True) if pairing]
    if not pairings:
        return None
    weights = np.mean([_weights_of(pairing, contestants) for pairing in pairings], axis=0)
    weights.flags.writeable = False
    return np.asarray(weights)


def _weights_of(pairing: dict[str, list[object]], contestants: Contestants) -> Floats:
    known = {uuid.UUID(str(checkpoint)): place for place, checkpoint in enumerate(pairing["checkpoints"])}
    frozen = _uneven_part(np.array(pairing["probabilities"], dtype=np.float64))
    places = np.array([known.get(checkpoint, -1) for checkpoint in contestants])
    strangers = (places[:, None] < 0) | (places[None, :] < 0)
    weights = np.where(strangers, frozen.max(), frozen[np.ix_(places, places)])
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights / np.triu(weights).sum()) if weights.any() else weights


def _weights_by_least(study: Study, contestants: Contestants, competing: Mask) -> Floats:
    places = np.flatnonzero(competing)
    weights = np.zeros((len(contestants),) * 2)
    counts = _comparisons(study, contestants)[np.ix_(places, places)]
    weights[np.ix_(places, places)] = _uneven_part(pair_probabilities(counts))
    return weights


def _comparisons(study: Study, contestants: Contestants) -> Integers:
    """(K, K) how often each pair was drawn."""
    counts = np.zeros((len(contestants),) * 2, dtype=np.int64)
    columns = {checkpoint: place for place, checkpoint in enumerate(contestants)}
    for first, second, comparisons in _totals(study=study.pk):
        if first in columns and second in columns:
            counts[columns[first], columns[second]] = counts[columns[second], columns[first]] = comparisons
    return counts


def _uneven_part(probabilities: Floats) -> Floats:
    """What `pair_probabilities` adds to its even part: that one is added anew, over the pairs a rater can be shown."""
    k = len(probabilities)
    uneven = np.maximum(probabilities - LEAST_UNIFORM * 2 / (k * (k - 1)), 0.0)
    np.fill_diagonal(uneven, 0.0)
    return uneven
