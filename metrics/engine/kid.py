"""Kernel distance of two feature sets: the unbiased squared MMD under k(x, y) = (x·y / d + 1)³. Lower is better.

Over all samples at once, so there is nothing random in its value: it is the mean that the usual “100 subsets of 1,000”
estimate. Those subsets are drawn beside it, with torch-fidelity's seed, for comparing with numbers made that way. A
value slightly below zero is possible, as for every unbiased estimate of a distance near zero.

Source: Bińkowski et al. 2018 (arXiv:1801.01401). Units: squared kernel distance. Errors: BadInput below two pictures on
either side. Equal to torch-fidelity's within docs/metrics.md.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.engine.intervals import Estimate
from metrics.engine.mmd import KernelSums
from metrics.engine.moments import Rows

Floats = NDArray[np.floating[Any]]

SUBSETS = 100
SUBSET_SIZE = 1_000
SUBSET_SEED = 2020


def cubic(first: Floats, second: Floats) -> Floats:
    """(a, d) and (b, d) rows → (a, b): (x·y / d + 1)³, in the rows' precision."""
    base: Floats = first @ second.T / first.shape[1] + 1
    return np.asarray(base * base * base)


class KidReducer(KernelSums):
    """Takes feature rows in sample order and gives KID with a grouped jackknife interval. Keeps the rows (8 kB a
    sample)."""

    def __init__(self, reference: Rows) -> None:
        super().__init__("KID", cubic, reference)

    def estimate(self) -> Estimate:
        """Raises: BadInput below two samples on either side."""
        return self.unbiased()

    def of_subsets(self) -> dict[str, float]:
        """Mean and standard deviation over seeded subsets, as torch-fidelity draws them; empty where a side is smaller
        than a subset."""
        samples = self.samples
        if min(len(samples), len(self.reference)) < SUBSET_SIZE:
            return {}
        mean, deviation = subset_kid(samples, self.reference, subsets=SUBSETS, size=SUBSET_SIZE, seed=SUBSET_SEED)
        return {"subsets_mean": mean, "subsets_deviation": deviation}


def subset_kid(samples: Rows, reference: Rows, *, subsets: int, size: int, seed: int) -> tuple[float, float]:
    """Mean and standard deviation of KID over `subsets` seeded pairs of subsets of `size` rows."""
    # The generator, the order of its draws and float32 products are torch-fidelity's.
    draws = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        x = samples[draws.choice(len(samples), size, replace=False)]
        y = reference[draws.choice(len(reference), size, replace=False)]
        inside = _sum(cubic(x, x), diagonal=False) + _sum(cubic(y, y), diagonal=False)
        values.append(inside / (size * (size - 1)) - 2 * _sum(cubic(x, y), diagonal=True) / size**2)
    return float(np.mean(values)), float(np.std(values))


def _sum(kernel: Floats, *, diagonal: bool) -> float:
    """Summed in float64, with or without the diagonal."""
    itself = 0.0 if diagonal else float(np.diagonal(kernel).sum(dtype=np.float64))
    return float(kernel.sum(dtype=np.float64)) - itself
