"""How sure: sandwich covariances, clustered and small-sample corrected, and rank intervals that hold for all at once.

Sources: White 1980 (HC0); Liang & Zeger 1986 (clusters); Cameron, Gelbach & Miller 2011 (two ways); Mogstad, Romano,
Shaikh & Wilhelm 2023 (ranks from differences).
"""

from collections.abc import Mapping

import numpy as np
import scipy  # its parts take long to load, and load when they are used

from raters.ranking.fit import Estimate
from raters.ranking.likelihood import Cells
from raters.ranking.votes import Codes, Floats

LEVEL = 0.95
DENSE = 10_000_000  # sums of scores by cluster are a dense matrix up to this many numbers (80 MB) …
SPARSE = 50  # … unless there are more than so many for each vote


def model_covariance(estimate: Estimate) -> Floats:
    """(P, P) inverse information, phantom votes included: the Laplace approximation."""
    inverse = np.linalg.inv(estimate.information)
    return (inverse + inverse.T) / 2


def sandwich(estimate: Estimate, clusters: Mapping[str, Codes], correction: bool) -> Floats:
    """(P, P) robust covariance A⁻¹BA⁻¹ of the parameters.

    Args:
        clusters: none (every vote on its own: HC0), one, or two columns of codes 0 … G−1, one entry per vote. Two give
            V₁ + V₂ − V₁₂, with negative eigenvalues set to 0.
        correction: whether each term is multiplied by its G / (G − 1).
    """
    columns = list(clusters.values())
    if not columns:
        meat = _squares_of_votes(estimate, estimate.cells.counts_of_squares())
    else:
        meat = sum((summed_squares(estimate, column, correction) for column in columns), np.zeros(()))
    if len(columns) == 2:
        both = columns[0] * (int(columns[1].max()) + 1) + columns[1]
        meat = meat - summed_squares(estimate, compress(both), correction)
    bread = model_covariance(estimate)
    covariance = bread @ meat @ bread
    return positive_part(covariance) if len(columns) == 2 else (covariance + covariance.T) / 2


def summed_squares(estimate: Estimate, cluster: Codes, correction: bool) -> Floats:
    """(P, P) Σ over clusters of outer(g, g), g the cluster's sum of scores; times G / (G − 1) if corrected.

    Votes alone in their cluster are summed by cell, without ever forming their scores.
    """
    sizes = np.bincount(cluster)
    alone = sizes[cluster] == 1
    total = np.zeros(())
    if alone.any():
        total = total + _squares_of_votes(estimate, estimate.cells.counts_of_squares(alone))
    if not alone.all():
        votes = np.flatnonzero(~alone)
        together = cluster if len(votes) == len(cluster) else compress(cluster[votes])
        scores = summed_scores(estimate, votes, together)
        squares = scores.T @ scores
        total = total + (squares if isinstance(squares, np.ndarray) else squares.toarray())
    groups = int(np.count_nonzero(sizes))
    return np.asarray(total * (groups / (groups - 1) if correction and groups > 1 else 1.0))


def _squares_of_votes(estimate: Estimate, squares: Floats) -> Floats:
    """(P, P) Σ over votes of outer(s, s), s the score; `squares` is (3, C), the sums of squared weights."""
    slopes = estimate.derivatives
    if slopes.tie_slope is None:
        return estimate.cells.quadratic((squares * slopes.slope**2).sum(axis=0), None, 0.0)
    return estimate.cells.quadratic(
        (squares * slopes.slope**2).sum(axis=0),
        (squares * slopes.slope * slopes.tie_slope).sum(axis=0),
        float((squares * slopes.tie_slope**2).sum()),
    )


def summed_scores(estimate: Estimate, rows: Codes, cluster: Codes) -> "Floats | scipy.sparse.csr_array":
    """(G, P) sum of the scores (∂ log p / ∂ parameters, weighted) of each cluster's votes; sparse where most are 0.

    Args:
        rows: (m,) positions of votes among those of the estimate, rising.
        cluster: (m,) codes 0 … G−1 of them.
    """
    cells, slopes, votes = estimate.cells, estimate.derivatives, estimate.cells.votes
    every = len(rows) == len(votes)
    place, left, right = (c if every else c[rows] for c in (cells.place, votes.left, votes.right))
    weight = 1.0 if votes.weight is None else votes.weight[rows]
    slope = weight * slopes.slope.ravel()[place]
    tail = [slope if (effect == 1).all() else slope * effect[cells.of_vote[rows]] for effect in cells.effects]
    tail += [] if slopes.tie_slope is None else [weight * slopes.tie_slope.ravel()[place]]
    k, groups = cells.contestants, int(cluster.max()) + 1
    if groups * k > DENSE or len(rows) * SPARSE < groups * k:
        entries = [(left, slope), (right, -slope), *((np.full_like(left, k + i), v) for i, v in enumerate(tail))]
        columns, values = (np.concatenate(part) for part in zip(*entries, strict=True))
        shape = (groups, len(estimate.parameters))
        return scipy.sparse.coo_array((values, (np.tile(cluster, len(entries)), columns)), shape=shape).tocsr()
    base = cluster * k
    strengths = np.bincount(base + left, slope, groups * k) - np.bincount(base + right, slope, groups * k)
    return np.column_stack([strengths.reshape(groups, k), *(np.bincount(cluster, value, groups) for value in tail)])


def compress(codes: Codes) -> Codes:
    """The same groups numbered 0 … G−1 without gaps."""
    if len(codes) and codes.max() < 4 * len(codes):
        present = np.bincount(codes) > 0
        return codes if present.all() else np.asarray((np.cumsum(present) - 1)[codes], dtype=np.int64)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64, copy=False)


def distinct_clusters(cells: Cells, cluster: Codes) -> Codes:
    """(K,) how many clusters have a vote on each contestant."""
    groups = int(cluster.max()) + 1 if len(cluster) else 1
    sides = (cells.votes.left, cells.votes.right)
    if cells.contestants * groups <= 10 * DENSE:
        seen = np.zeros(cells.contestants * groups, dtype=bool)
        for side in sides:
            seen[side * groups + cluster] = True
        return np.asarray(seen.reshape(cells.contestants, groups).sum(axis=1), dtype=np.int64)
    pairs = np.unique(np.concatenate([side * groups + cluster for side in sides]))
    return np.bincount(pairs // groups, minlength=cells.contestants)


def positive_part(matrix: Floats) -> Floats:
    """The nearest positive semi-definite matrix: symmetric, eigenvalues below 0 set to 0."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def difference_variances(covariance: Floats) -> Floats:
    """(m, m) variances of all pairwise differences of (m,) estimates."""
    own = np.diag(covariance)
    return np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0)


def quantile(degrees_of_freedom: float) -> float:
    """The two-sided 95 % quantile of Student's t; of the normal distribution at infinity."""
    upper = (1 + LEVEL) / 2
    return float(
        scipy.special.ndtri(upper) if np.isinf(degrees_of_freedom) else scipy.special.stdtrit(degrees_of_freedom, upper)
    )


def simultaneous_quantile(covariance: Floats, degrees_of_freedom: float, seed: int) -> float:
    """The 95 % quantile of the largest |t| over all pairwise differences of (m,) estimates, by simulation.

    The symmetric square root of the covariance makes the draws, and so the answer, independent of rounding. The answer
    is never below the quantile for a single difference.
    """
    m = len(covariance)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    spread = np.sqrt(difference_variances(covariance))
    precision = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    random = np.random.default_rng(seed)
    draws = int(np.clip(1e8 / m**2, 2_000, 10_000))
    sample = random.standard_normal((draws, m)) @ root
    if np.isfinite(degrees_of_freedom):
        sample /= np.sqrt(random.chisquare(degrees_of_freedom, (draws, 1)) / degrees_of_freedom)
    by_contestant = np.ascontiguousarray(sample.T)
    largest = np.zeros(draws)
    for i in range(m - 1):
        gaps = by_contestant[i + 1 :] - by_contestant[i]
        gaps *= precision[i + 1 :, [i]]
        np.maximum(largest, gaps.max(axis=0), out=largest)
        np.maximum(largest, -gaps.min(axis=0), out=largest)
    return max(float(np.quantile(largest, LEVEL)), quantile(degrees_of_freedom))


def rank_intervals(strengths: Floats, covariance: Floats, degrees_of_freedom: float, seed: int) -> tuple[Codes, Codes]:
    """(m,) best and worst rank of each that the simultaneous 95 % comparison of all pairs leaves open."""
    spread = np.sqrt(difference_variances(covariance))
    critical = simultaneous_quantile(covariance, degrees_of_freedom, seed)
    gap = strengths[None, :] - strengths[:, None]
    surely_better = (gap > critical * spread).sum(axis=1)
    surely_worse = (-gap > critical * spread).sum(axis=1)
    return 1 + surely_better, len(strengths) - surely_worse
