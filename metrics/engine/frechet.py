"""Fréchet distance between the Gaussians of two feature sets; lower is better, in squared feature units.

|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½). The trace of the root is never taken by a matrix square root: with Σ₂ = AAᵀ the
eigenvalues of Σ₁Σ₂ are those of the symmetric AᵀΣ₁A. A is Cholesky's factor, or that of the side with fewer samples
than features, where it is as narrow as that side's rank; for rows in hand the small symmetric XΣ₂Xᵀ / (n - 1) does the
same, X being the centred samples.

Source: Dowson and Landau 1982; Heusel et al. 2017 (arXiv:1706.08500). Within 1e-6 of a matrix square root
(docs/metrics.md).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from metrics.engine.errors import Mismatch
from metrics.engine.moments import Matrix, Moments, Rows

_MISSED = 1e-11
"""The share of a covariance's trace that a narrow factor may leave out."""

Indices = NDArray[np.intp]


def frechet_distance(first: Moments, second: Moments) -> float:
    """The distance between two sets known by their moments.

    Raises: BadInput below two samples on either side; Mismatch if they have different numbers of features.
    """
    if first.dimensions != second.dimensions:
        raise Mismatch(
            f"{first.dimensions} and {second.dimensions} features cannot be compared; use one extractor for both."
        )
    return Target(second).distance(first)


class Target:
    """The fixed side of many distances: its mean, covariance and factor, computed once."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self.mean = moments.mean
        self.covariance = moments.covariance
        self.trace = float(np.trace(self.covariance))
        self._factor: Matrix | None = None

    def distance(self, moments: Moments) -> float:
        covariance = moments.covariance
        if moments.n <= min(moments.dimensions, self._moments.n):
            cross = _between(_factor_of(moments, covariance), self.covariance)
        else:
            if self._factor is None:
                self._factor = _factor_of(self._moments, self.covariance)
            cross = _between(self._factor, covariance)
        return self._assemble(moments.mean, float(np.trace(covariance)), _root_trace(cross))

    def distances_of_few(self, rows: Rows, subsets: Sequence[Indices]) -> list[float]:
        """The distance of each of several subsets of (n, d) rows, from one n × n matrix."""
        exact = rows.astype(np.float64)
        centre = exact.mean(axis=0)
        offsets = exact - centre
        cross = offsets @ self.covariance @ offsets.T
        lengths = np.square(offsets).sum(axis=1)
        distances = []
        for kept in subsets:
            shift = offsets[kept].mean(axis=0)
            spread = (lengths[kept].sum() - len(kept) * shift @ shift) / (len(kept) - 1)
            part = _double_centred(cross[np.ix_(kept, kept)]) / (len(kept) - 1)
            distances.append(self._assemble(centre + shift, float(spread), _root_trace(part)))
        return distances

    def _assemble(self, mean: NDArray[np.float64], trace: float, root_trace: float) -> float:
        gap = mean - self.mean
        return float(gap @ gap) + trace + self.trace - 2 * root_trace


def _factor_of(moments: Moments, covariance: Matrix) -> Matrix:
    """(d, r) with factor · factorᵀ = covariance, r its rank; lower triangular where that is d."""
    rank = min(moments.n - 1, moments.dimensions)
    factor, failed = linalg.lapack.dpotrf(covariance[:rank, :rank], lower=1, clean=1)
    if not failed and rank < moments.dimensions:
        # So many columns say all there is to know of the others, unless they are nearly dependent of one another.
        rest = linalg.blas.dtrsm(1.0, factor, covariance[rank:, :rank], side=1, lower=1, trans_a=1)
        factor = np.concatenate([factor, rest])
        missed = np.abs(np.diagonal(covariance) - np.square(factor).sum(axis=1)).sum()
        failed = missed > _MISSED * np.trace(covariance)
    if not failed:
        return np.asarray(factor)
    # Cholesky with pivots finds its own rank, in a fraction of the time that eigenvectors take.
    packed, pivots, rank, _ = linalg.lapack.dpstrf(covariance, lower=1)
    narrow: Matrix = np.empty((len(covariance), rank))
    narrow[pivots - 1] = np.tril(packed)[:, :rank]
    return narrow


def _between(factor: Matrix, covariance: Matrix) -> Matrix:
    """factorᵀ · covariance · factor."""
    if factor.shape[0] != factor.shape[1]:
        return np.asarray(factor.T @ covariance @ factor)
    # Triangular products take half the work. A symmetric matrix is its own transpose, which spares a copy.
    left = linalg.blas.dtrmm(1.0, factor, covariance.T, side=0, lower=1, trans_a=1)
    return np.asarray(linalg.blas.dtrmm(1.0, factor, left, side=1, lower=1, overwrite_b=1))


def _double_centred(gram: Matrix) -> Matrix:
    centred: Matrix = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    return centred


def _root_trace(symmetric: Matrix) -> float:
    """Σ √λ of a symmetric positive semi-definite matrix; eigenvalues that are only rounding count as zero."""
    # Only one triangle is read; in Fortran's order nothing is copied.
    values = linalg.eigvalsh(np.asfortranarray(symmetric), overwrite_a=True, check_finite=False)
    floor = max(float(values[-1]), 0.0) * np.finfo(np.float64).eps * len(values)
    return float(np.sqrt(values[values > floor]).sum())
