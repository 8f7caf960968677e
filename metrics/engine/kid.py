"""Kernel distance of two feature sets: the unbiased squared MMD under k(x, y) = (x·y / d + 1)³. Lower is better.

Over all samples at once, so there is nothing random in it: it is the mean that the usual “100 subsets of 1,000”
estimate. A value slightly below zero is possible, as for every unbiased estimate of a distance near zero.

Source: Bińkowski et al. 2018 (arXiv:1801.01401). Equal to torch-fidelity's with one subset of every sample
    (docs/metrics.md).
"""

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.intervals import GROUPS, Estimate, jackknife_estimate
from metrics.engine.moments import CHUNK, Matrix, Rows


class KidReducer:
    """Takes feature rows in sample order and gives KID with a grouped jackknife interval. Keeps the rows (8 kB a
    sample)."""

    def __init__(self, reference: Rows) -> None:
        self._reference = reference
        self._rows: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """(m, d) float32. Raises: Mismatch for another number of features."""
        if rows.shape[1] != self._reference.shape[1]:
            raise Mismatch(
                f"The reference has {self._reference.shape[1]} features and {rows.shape[1]} came; use one "
                "extractor for both."
            )
        self._rows.append(rows)

    def estimate(self) -> Estimate:
        """Raises: BadInput below two samples on either side."""
        samples = np.concatenate(self._rows) if self._rows else self._reference[:0]
        if min(len(samples), len(self._reference)) < 2:
            raise BadInput(
                f"KID needs 2 pictures on each side; {len(samples)} samples and {len(self._reference)} references came."
            )
        groups = min(GROUPS, len(samples)) if len(samples) > 3 else 1
        within, across = self._kernel_sums(samples, groups)
        return jackknife_estimate(*self._values(within, across, len(samples), groups))

    def _kernel_sums(self, samples: Rows, groups: int) -> tuple[Matrix, NDArray[np.float64]]:
        """Kernel sums between the samples' groups (g, g), each with itself left out, and from each group to the
        reference (g,)."""
        membership = np.eye(groups)[np.arange(len(samples)) % groups]
        within = np.zeros((groups, groups))
        across = np.zeros(groups)
        for start in range(0, len(samples), CHUNK):
            rows, mine = samples[start : start + CHUNK], membership[start : start + CHUNK]
            for other in range(0, len(samples), CHUNK):
                kernel = _kernel(rows, samples[other : other + CHUNK])
                if other == start:
                    np.fill_diagonal(kernel, 0.0)
                within += mine.T @ kernel @ membership[other : other + CHUNK]
            for other in range(0, len(self._reference), CHUNK):
                across += mine.T @ _kernel(rows, self._reference[other : other + CHUNK]).sum(axis=1)
        return within, across

    def _values(
        self, within: Matrix, across: NDArray[np.float64], n: int, groups: int
    ) -> tuple[float, NDArray[np.float64]]:
        m = len(self._reference)
        reference = _sum_without_diagonal(self._reference) / (m * (m - 1))

        def value(inside: float, between: float, count: int) -> float:
            return inside / (count * (count - 1)) + reference - 2 * between / (count * m)

        sizes = [len(range(group, n, groups)) for group in range(groups)]
        replicates = [
            value(
                float(within.sum() - within[group].sum() - within[:, group].sum() + within[group, group]),
                float(across.sum() - across[group]),
                n - sizes[group],
            )
            for group in range(groups)
            if groups > 1
        ]
        return value(float(within.sum()), float(across.sum()), n), np.array(replicates)


def _kernel(first: Rows, second: Rows) -> Matrix:
    products = first.astype(np.float64) @ second.astype(np.float64).T
    kernel: Matrix = (products / first.shape[1] + 1) ** 3
    return kernel


def _sum_without_diagonal(rows: Rows) -> float:
    total = 0.0
    for start in range(0, len(rows), CHUNK):
        for other in range(0, len(rows), CHUNK):
            kernel = _kernel(rows[start : start + CHUNK], rows[other : other + CHUNK])
            total += float(kernel.sum() - (np.trace(kernel) if other == start else 0.0))
    return total
