"""Fréchet distance between the Gaussians of two feature sets; lower is better, in squared feature units.

|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½). The trace of the root is never taken by a matrix square root: with Σ₂ = AAᵀ the
eigenvalues of Σ₁Σ₂ are those of the symmetric AᵀΣ₁A, and where there are fewer samples than features those of the small
symmetric XΣ₂Xᵀ / (n - 1), X being the centred samples.

Source: Heusel et al. 2017 (arXiv:1706.08500). Within 1e-6 of a matrix square root at full rank (docs/metrics.md).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.intervals import GROUPS, Estimate, jackknife_estimate
from metrics.engine.moments import CHUNK, Matrix, Moments, Rows


def frechet_distance(first: Moments, second: Moments) -> float:
    """The distance between two sets known by their moments.

    Raises: BadInput below two samples on either side; Mismatch if they have different numbers of features.
    """
    if first.dimensions != second.dimensions:
        raise Mismatch(
            f"{first.dimensions} and {second.dimensions} features cannot be compared; use one extractor for both."
        )
    return _Target(second).distance(first)


class _Target:
    """The fixed side of many distances: its mean, covariance and factor, computed once."""

    def __init__(self, moments: Moments) -> None:
        self.mean = moments.mean
        self.covariance = moments.covariance
        self.trace = float(np.trace(self.covariance))
        self._factor: Matrix | None = None

    @property
    def factor(self) -> Matrix:
        """(d, r) with factor · factorᵀ = covariance, r its numerical rank."""
        if self._factor is None:
            values, vectors = linalg.eigh(self.covariance, check_finite=False)
            kept = values > values[-1] * np.finfo(np.float64).eps * len(values)
            self._factor = vectors[:, kept] * np.sqrt(values[kept])
        return self._factor

    def distance(self, moments: Moments) -> float:
        covariance = moments.covariance
        factor = self.factor
        cross = factor.T @ covariance @ factor
        return self._assemble(moments.mean, float(np.trace(covariance)), _root_trace(cross))

    def distances_of_few(self, rows: Rows, groups: int) -> tuple[float, NDArray[np.float64]]:
        """The distance of (n, d) rows, and without each of `groups` interleaved groups, from one n × n matrix."""
        exact = rows.astype(np.float64)
        centre = exact.mean(axis=0)
        offsets = exact - centre
        cross = offsets @ self.covariance @ offsets.T
        lengths = np.square(offsets).sum(axis=1)
        everyone = np.arange(len(rows))
        distances = []
        for left_out in range(-1, groups):
            kept = everyone[everyone % groups != left_out] if left_out >= 0 else everyone
            shift = offsets[kept].mean(axis=0)
            spread = (lengths[kept].sum() - len(kept) * shift @ shift) / (len(kept) - 1)
            part = _double_centred(cross[np.ix_(kept, kept)]) / (len(kept) - 1)
            distances.append(self._assemble(centre + shift, float(spread), _root_trace(part)))
        return distances[0], np.array(distances[1:])

    def _assemble(self, mean: NDArray[np.float64], trace: float, root_trace: float) -> float:
        gap = mean - self.mean
        return float(gap @ gap) + trace + self.trace - 2 * root_trace


def _double_centred(gram: Matrix) -> Matrix:
    centred: Matrix = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    return centred


def _root_trace(symmetric: Matrix) -> float:
    """Σ √λ of a symmetric positive semi-definite matrix; eigenvalues that are only rounding count as zero."""
    values = linalg.eigvalsh((symmetric + symmetric.T) / 2, check_finite=False)
    floor = max(float(values[-1]), 0.0) * np.finfo(np.float64).eps * len(values)
    return float(np.sqrt(values[values > floor]).sum())


class FidReducer:
    """Takes feature rows in sample order and gives FID with a grouped jackknife interval.

    Memory does not grow with the samples: rows are kept only while there are no more of them than features; after that,
    the moments of ten interleaved groups.
    """

    def __init__(self, reference: Moments) -> None:
        self._target = _Target(reference)
        self._dimensions = reference.dimensions
        self._held: list[Rows] = []
        self._groups: list[Moments] = []
        self._n = 0

    def add(self, rows: Rows) -> None:
        """(m, d) float32. Raises: Mismatch for another number of features."""
        if rows.shape[1] != self._dimensions:
            raise Mismatch(
                f"The reference has {self._dimensions} features and {rows.shape[1]} came; use one extractor for both."
            )
        self._n += len(rows)
        self._held.append(rows)
        if self._n > self._dimensions:
            self._absorb(whole_chunks=True)

    def estimate(self) -> Estimate:
        """Raises: BadInput below two samples."""
        if self._n < 2:
            raise BadInput(f"FID needs at least 2 samples, and {self._n} came; add more.")
        if not self._groups:
            # Each replicate needs two samples of its own.
            groups = min(GROUPS, self._n) if self._n > 3 else 0
            value, replicates = self._target.distances_of_few(np.concatenate(self._held), groups)
            return jackknife_estimate(value, replicates)
        self._absorb(whole_chunks=False)
        everything = self._groups[0]
        for group in self._groups[1:]:
            everything = everything.merge(group)
        replicates = np.array([self._target.distance(everything.without(group)) for group in self._groups])
        return jackknife_estimate(self._target.distance(everything), replicates)

    def _absorb(self, *, whole_chunks: bool) -> None:
        if not self._groups:
            self._groups = [Moments(self._dimensions) for _ in range(GROUPS)]
        rows = np.concatenate(self._held)
        end = len(rows) - len(rows) % CHUNK if whole_chunks else len(rows)
        for start in range(0, end, CHUNK):
            chunk = rows[start : min(start + CHUNK, end)]
            for index, group in enumerate(self._groups):
                # CHUNK is a multiple of the number of groups, so a sample's group follows from its place in the set.
                group.update(chunk[index :: len(self._groups)])
        self._held = [rows[end:]]
