"""Krippendorff's alpha: how far raters agree beyond chance, with an interval by drawing units again.

Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability; Krippendorff 2018, Content Analysis.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.intervals import LEVEL, compress
from raters.ranking.votes import LEFT, RIGHT, Codes, Floats, Votes

Distance = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True)
class Agreement:
    """Args:
    alpha: 1 for full agreement, 0 for what chance gives; None where nothing was judged twice or nothing ever differed.
    low, high: 95 % percentile interval over the units drawn again; None where alpha is.
    units, values: how many units were judged at least twice, and how often they were in all.
    """

    alpha: float | None
    low: float | None
    high: float | None
    distance: Distance
    units: int
    values: int
    replicates: int


def krippendorff_alpha(
    unit: Codes, value: ArrayLike, *, distance: Distance = "nominal", replicates: int = 1000, seed: int = 0
) -> Agreement:
    """One entry per judgement; what a rater did not judge has none. Units judged once are passed over.

    Args:
        unit: (n,) non-negative codes of what was judged.
        value: (n,) the judgement, a finite number; for "nominal" only whether two are the same matters.
    Raises:
        MalformedVotes, UnknownOption: what is wrong with the columns, the distance or the replicates.
    """
    units, values = np.asarray(unit), np.asarray(value, dtype=np.float64)
    if units.ndim != 1 or units.shape != values.shape or not np.isfinite(values).all():
        raise MalformedVotes(
            f"Agreement needs one unit and one finite value per judgement, got {units.shape} and {values.shape}."
        )
    if distance not in get_args(Distance) or replicates < 2:
        raise UnknownOption(
            f"The distance must be one of {', '.join(get_args(Distance))} and replicates at least 2, "
            f"got {distance!r} and {replicates}."
        )
    paired = np.bincount(units)[units] > 1 if len(units) else np.zeros(0, dtype=bool)
    levels, place = np.unique(values[paired], return_inverse=True)
    codes = compress(units[paired])
    groups = int(codes.max(initial=-1)) + 1
    counts = np.bincount(codes * len(levels) + place, minlength=groups * len(levels)).astype(np.float64)
    # Units judged alike are one pattern, and how often each is drawn is all that an alpha depends on.
    patterns, times = np.unique(counts.reshape(groups, len(levels)), axis=0, return_counts=True)
    alpha = _alpha(patterns, times, levels, distance)
    low = high = None
    if alpha is not None:
        random = np.random.default_rng(seed)
        drawn = random.multinomial(groups, times / groups, replicates)
        found = [again for weight in drawn if (again := _alpha(patterns, weight, levels, distance)) is not None]
        tail = (1 - LEVEL) / 2
        low, high = (float(bound) for bound in np.quantile(found, [tail, 1 - tail]))
    return Agreement(alpha, low, high, distance, groups, int(paired.sum()), replicates)


def preferences(votes: Votes) -> Codes:
    """(n,) 1 where the contestant with the lower code was preferred, −1 the other, 0 neither: the same whatever the
    sides."""
    for_left = np.select([votes.outcome == LEFT, votes.outcome == RIGHT], [1, -1], 0)
    return np.where(votes.left < votes.right, for_left, -for_left)


def _alpha(counts: Floats, weight: NDArray[np.int64], levels: Floats, distance: Distance) -> float | None:
    """Of (U, V) counts of each value in each unit, the units weighing (U,); None where all values are the same."""
    share = weight / (counts.sum(axis=1) - 1)
    coincidences = (counts * share[:, None]).T @ counts - np.diag(share @ counts)
    total = coincidences.sum(axis=0)
    apart = _distances(total, levels, distance)
    expected = total @ apart @ total
    if not expected > 0:
        return None
    return float(1 - (total.sum() - 1) * (coincidences * apart).sum() / expected)


def _distances(total: Floats, levels: Floats, distance: Distance) -> Floats:
    """(V, V) squared distances between values; `total` is how often each was given."""
    if distance == "nominal":
        return 1 - np.eye(len(levels))
    place = levels if distance == "interval" else np.cumsum(total) - total / 2
    return np.asarray((place[:, None] - place[None, :]) ** 2)
