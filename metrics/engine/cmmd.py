"""CMMD: the squared MMD of CLIP ViT-L/14-336 embeddings under a Gaussian kernel, times 1,000. Lower is better.

k(x, y) = exp(-|x - y|² / 2σ²) with σ = 10 on unit-length embeddings. The value is the published, biased one (every
pair, also of a sample with itself), so that it compares with other people's; the unbiased one is kept beside it.

Source: Jayasumana et al. 2024 (arXiv:2401.09603). Units: 1,000 × squared kernel distance. Errors: BadInput below two
pictures on either side. Within 1e-4 of the published code on equal embeddings, which it computes in float32
(docs/metrics.md).
"""

from dataclasses import replace

import numpy as np

from metrics.engine.intervals import Estimate
from metrics.engine.mmd import KernelSums
from metrics.engine.moments import Matrix, Rows

SIGMA = 10.0
SCALE = 1_000.0


def gaussian(first: Matrix, second: Matrix) -> Matrix:
    """(a, d) and (b, d) rows → (a, b): exp(-|x - y|² / 2σ²)."""
    lengths = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)
    squares = np.maximum(lengths - 2 * (first @ second.T), 0.0)
    return np.asarray(np.exp(squares / (-2 * SIGMA**2)))


class CmmdReducer(KernelSums):
    """Takes embeddings in sample order and gives CMMD with a grouped jackknife interval. Keeps the rows (3 kB a
    sample)."""

    def __init__(self, reference: Rows) -> None:
        super().__init__("CMMD", gaussian, reference)

    def estimate(self) -> Estimate:
        """Raises: BadInput below two samples on either side."""
        return _scaled(self.biased())

    def without_bias(self) -> float:
        """The unbiased estimate, in the same unit."""
        return _scaled(self.unbiased()).value


def _scaled(estimate: Estimate) -> Estimate:
    low, high = (None if end is None else SCALE * end for end in (estimate.low, estimate.high))
    return replace(estimate, value=SCALE * estimate.value, low=low, high=high)
