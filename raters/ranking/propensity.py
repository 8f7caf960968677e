"""Votes on pairs that were not drawn alike, weighed as if they had been.

If the truth is no single scale (a beats b, b beats c, c beats a), ratings depend on which pairs were asked for, and an
adaptive choice of pairs shifts them. A weight in proportion to 1 / propensity undoes that: every pair then counts as
often, on average, as under uniform sampling.

Sources: Horvitz & Thompson 1952; Hájek 1971 (normalised weights); Ionides 2008 (truncation); Kish 1965 (effective
size).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.votes import Floats, Votes

CLIP = 10.0  # with a tenth of all draws uniform no weight exceeds ten times that of a uniform draw


@dataclass(frozen=True, eq=False)
class PropensityWeights:
    """Args:
    weight: (n,) of each vote; they add up to `effective`, so that a fit claims no more votes than it has.
    effective: how many equally weighted votes would be as good, (Σw)² / Σw².
    clipped: how many weights were too large and were cut.
    """

    weight: Floats
    effective: float
    clipped: int

    def weigh(self, votes: Votes) -> Votes:
        """The same votes for `rank`; weights they had stay as factors."""
        return replace(votes, weight=self.weight if votes.weight is None else self.weight * votes.weight)


def propensity_weights(propensity: ArrayLike, *, clip: float = CLIP) -> PropensityWeights:
    """Stabilised inverse propensities.

    Args:
        propensity: (n,) the probability with which each vote's pair had been drawn, of all pairs that could be (as
            recorded from `Draw.propensity`).
        clip: the largest weight, as a multiple of the mean one before cutting; infinity cuts none. Cutting trades a
            little bias for much variance.
    Raises:
        MalformedVotes: a propensity is not above 0 and at most 1.
        UnknownOption: `clip` is below 1.
    """
    chances = np.asarray(propensity, dtype=np.float64)
    if chances.ndim != 1 or not ((chances > 0) & (chances <= 1)).all():
        raise MalformedVotes(
            "Every vote needs the propensity of its pair, above 0 and at most 1; leave out votes on pairs that were "
            "not drawn."
        )
    if not clip >= 1:
        raise UnknownOption(f"Weights can be cut at a multiple of their mean from 1 up, got {clip}.")
    if not len(chances):
        return PropensityWeights(chances, 0.0, 0)
    weight = 1 / chances
    weight /= weight.mean()
    large = weight > clip
    weight = np.minimum(weight, clip)
    total, squares = float(weight.sum()), float((weight**2).sum())
    return PropensityWeights(weight * (total / squares), total**2 / squares, int(large.sum()))
