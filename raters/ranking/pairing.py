"""Which pair to compare next: a probability for every pair, so that the propensity of each draw can be recorded.

Sources: expected information (Lindley 1956; Li et al. 2018, Hybrid-MST; Mikhailiuk et al. 2020, ASAP), here the mutual
information between the next vote and the difference of strengths, by Gauss–Hermite quadrature.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts take long to load, and load when they are used
from numpy.typing import NDArray

from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.intervals import difference_variances
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.votes import Codes, Floats

LEAST_UNIFORM = 0.1  # keeps every pair's propensity away from 0, for inverse-propensity fits
NEWCOMER_COMPARISONS = 30
NEWCOMER_WEIGHT = 5.0
PRIOR_VARIANCE = 4.0  # of an unrated strength: what half a phantom win and half a phantom loss leave uncertain
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


def pair_probabilities(
    comparisons: Codes,
    *,
    strengths: Floats | None = None,
    covariance: Floats | None = None,
    tie: float = 0.0,
    uniform: float = LEAST_UNIFORM,
) -> Floats:
    """Probability of each pair to be the next comparison.

    `uniform` of the draws fall on all pairs alike. The rest go, while the comparisons leave the contestants in separate
    groups, to pairs across groups; then to pairs in proportion to expected information, five times as much with
    a newcomer (under 30 comparisons) among them; or, without a fit, to the least compared pairs.

    Args:
        comparisons: (K, K) symmetric, how often each pair was compared (or is being compared); K ≥ 2.
        strengths, covariance: (K,) and (K, K) natural-log strengths of a `Ranking`; nan where unrated.
        tie: Davidson's ν of that ranking.
        uniform: share of uniform draws, 0.1 to 1.
    Returns:
        (K, K) symmetric, zero diagonal; the upper triangle sums to 1.
    """
    counts = np.asarray(comparisons, dtype=np.float64)
    k = len(counts)
    if counts.shape != (k, k) or k < 2 or (counts != counts.T).any():
        raise MalformedVotes(
            f"Pairing needs a symmetric square of comparison counts of at least two contestants, got {counts.shape}."
        )
    if not LEAST_UNIFORM <= uniform <= 1:
        raise UnknownOption(f"The share of uniform draws must be from {LEAST_UNIFORM} to 1, got {uniform}.")
    pairs = ~np.eye(k, dtype=bool)
    weights = _across_groups(counts)
    if not weights.any():
        if strengths is None or covariance is None or not np.isfinite(strengths).any():
            weights = (pairs & (counts == counts[pairs].min())).astype(np.float64)
        else:
            weights = expected_information(*_differences(strengths, covariance), tie) * pairs
    newcomer = counts.sum(axis=1) < NEWCOMER_COMPARISONS
    weights = weights * np.where(newcomer[:, None] | newcomer[None, :], NEWCOMER_WEIGHT, 1.0)
    even = pairs / pairs.sum()
    informed = weights / weights.sum() if weights.sum() > 0 else even
    # Rounding differs between (i, j) and (j, i), so the halves are averaged.
    return np.asarray(2 * uniform * even + (1 - uniform) * (informed + informed.T))


@dataclass(frozen=True)
class Draw:
    """A drawn pair, `first` < `second`, and the probability that it had."""

    first: int
    second: int
    propensity: float


def draw_pair(
    probabilities: Floats, random: np.random.Generator, allowed: NDArray[np.bool_] | None = None
) -> Draw | None:
    """Draws a pair; None when none is allowed.

    Args:
        probabilities: (K, K) of `pair_probabilities`.
        allowed: (K, K) symmetric, the pairs that can be shown now (to this rater, say); the propensity is then the
            conditional one.
    """
    upper = np.triu(probabilities if allowed is None else np.where(allowed, probabilities, 0.0), 1).ravel()
    total = upper.sum()
    if not total > 0:
        return None
    place = int(random.choice(len(upper), p=upper / total))
    first, second = divmod(place, len(probabilities))
    return Draw(first, second, float(upper[place] / total))


def expected_information(mean: Floats, variance: Floats, tie: float = 0.0) -> Floats:
    """Mutual information in nats between the next vote and a difference of strengths ~ N(mean, variance).

    Args:
        mean, variance: same shape, natural-log units.
        tie: Davidson's ν; with 0 the vote is left or right.
    """
    nodes = mean[..., None] + np.sqrt(variance)[..., None] * NODES
    share = WEIGHTS / WEIGHTS.sum()
    chances = outcome_probabilities(nodes, tie)
    gain: Floats = _entropy(chances @ share) - _entropy(chances) @ share
    return np.maximum(gain, 0)


def _entropy(probabilities: Floats) -> Floats:
    positive = np.where(probabilities > 0, probabilities, 1.0)
    return np.asarray(-(positive * np.log(positive)).sum(axis=0))


def _differences(strengths: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(K, K) mean and variance of every difference; the unrated get the mean strength and the prior's variance."""
    rated = np.isfinite(strengths)
    mean = np.where(rated, strengths, strengths[rated].mean())
    known = np.where(rated[:, None] & rated[None, :], covariance, 0.0)
    known[~rated, ~rated] = PRIOR_VARIANCE
    return mean[:, None] - mean[None, :], difference_variances(known)


def _across_groups(counts: Floats) -> Floats:
    """1 for each pair of contestants that no chain of comparisons links yet, else 0."""
    group = scipy.sparse.csgraph.connected_components(scipy.sparse.coo_array(counts > 0), directed=False)[1]
    return np.asarray(group[:, None] != group[None, :], dtype=np.float64)
