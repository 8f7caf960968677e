"""Kernel sums between two sets of feature rows: what KID and CMMD are made of.

Sums are taken chunk by chunk, never as a dense n × n matrix, and group by group, so that the jackknife's replicates
cost nothing more. With KXX the sum of k(x, x') over pairs of different samples, KX that of k(x, x), and so on, for n
samples and m references: unbiased, KXX / n(n - 1) + KYY / m(m - 1) - 2 KXY / nm; biased (every pair, also of a sample
with itself), (KXX + KX) / n² + (KYY + KY) / m² - 2 KXY / nm.

Source: Gretton et al. 2012 (JMLR 13), equations 3 and 5.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.intervals import GROUPS, Estimate, group_of, jackknife_estimate
from metrics.engine.moments import CHUNK, Matrix, Rows

Kernel = Callable[[Matrix, Matrix], NDArray[np.floating[Any]]]
"""(a, d) and (b, d) float64 rows → (a, b) values."""

Values = NDArray[np.float64]


class KernelSums:
    """Takes feature rows in sample order and sums a kernel over them and a reference. Keeps the rows (4d bytes each).

    Attributes: title: of the metric, for its errors. samples: the rows so far, in one array.
    """

    def __init__(self, title: str, kernel: Kernel, reference: Rows) -> None:
        self.title, self.reference = title, reference
        self._kernel = kernel
        self._rows: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """(m, d) float32. Raises: Mismatch for another number of features."""
        if rows.shape[1] != self.reference.shape[1]:
            raise Mismatch(
                f"The reference has {self.reference.shape[1]} features and {rows.shape[1]} came; use one "
                "extractor for both."
            )
        self._rows.append(rows)

    @property
    def samples(self) -> Rows:
        return np.concatenate(self._rows) if self._rows else self.reference[:0]

    def unbiased(self) -> Estimate:
        """The unbiased squared distance with its jackknife interval. Raises: BadInput below two on either side."""
        return self._estimate(biased=False)

    def biased(self) -> Estimate:
        """The V-statistic, with pairs of a sample with itself. Raises: BadInput below two on either side."""
        return self._estimate(biased=True)

    def _estimate(self, *, biased: bool) -> Estimate:
        n, m = sum(map(len, self._rows)), len(self.reference)
        if min(n, m) < 2:
            raise BadInput(
                f"{self.title} needs 2 pictures on each side; {n} samples and {m} references came; add more."
            )
        within, diagonal, across, sizes = self._sums
        inside, itself = self._reference_sums
        reference = (inside + itself) / m**2 if biased else inside / (m * (m - 1))

        def value(pairs: float, own: float, between: float, count: int) -> float:
            mine = (pairs + own) / count**2 if biased else pairs / (count * (count - 1))
            return mine + reference - 2 * between / (count * m)

        replicates = [
            value(
                float(within.sum() - within[group].sum() - within[:, group].sum() + within[group, group]),
                float(diagonal.sum() - diagonal[group]),
                float(across.sum() - across[group]),
                n - int(sizes[group]),
            )
            for group in range(len(sizes))
            if len(sizes) > 1
        ]
        whole = value(float(within.sum()), float(diagonal.sum()), float(across.sum()), n)
        return jackknife_estimate(whole, np.array(replicates))

    @cached_property
    def _sums(self) -> tuple[Matrix, Values, Values, NDArray[np.intp]]:
        """Between the samples' groups (g, g) without pairs of a sample with itself, those pairs (g,), from each group
        to the reference (g,), and the groups' sizes."""
        samples = self.samples
        groups = min(GROUPS, len(samples)) if len(samples) > 3 else 1
        membership = np.eye(groups)[group_of(len(samples), groups)]
        within, diagonal, across = np.zeros((groups, groups)), np.zeros(groups), np.zeros(groups)
        for start in range(0, len(samples), CHUNK):
            rows, mine = samples[start : start + CHUNK].astype(np.float64), membership[start : start + CHUNK]
            own = self._kernel(rows, rows)
            diagonal += mine.T @ np.diagonal(own)
            np.fill_diagonal(own, 0.0)
            within += mine.T @ own @ mine
            for other in range(start + CHUNK, len(samples), CHUNK):
                kernel = self._kernel(rows, samples[other : other + CHUNK].astype(np.float64))
                part = mine.T @ kernel @ membership[other : other + CHUNK]
                within += part + part.T
            for other in range(0, len(self.reference), CHUNK):
                kernel = self._kernel(rows, self.reference[other : other + CHUNK].astype(np.float64))
                across += mine.T @ kernel.sum(axis=1)
        return within, diagonal, across, np.bincount(membership.argmax(axis=1), minlength=groups)

    @cached_property
    def _reference_sums(self) -> tuple[float, float]:
        """Over pairs of different references, and over each with itself."""
        inside = itself = 0.0
        for start in range(0, len(self.reference), CHUNK):
            rows = self.reference[start : start + CHUNK].astype(np.float64)
            own = self._kernel(rows, rows)
            itself += float(np.trace(own))
            inside += float(own.sum() - np.trace(own))
            for other in range(start + CHUNK, len(self.reference), CHUNK):
                inside += 2 * float(self._kernel(rows, self.reference[other : other + CHUNK].astype(np.float64)).sum())
        return inside, itself
