"""PSNR: 10 · log₁₀(255² / mean squared error) in decibels, over a picture's eight-bit levels. Higher is better.

Each sample's own value is computed, then averaged; a video's is the mean over its sampled frames. Equal pictures would
be infinitely good: they, and any above 100 dB, count as 100 dB, and the score says how many pairs are equal. Outside a
mask (editing) only the pixels outside it enter the mean.

Source: Wang et al. 2004 (doi:10.1109/TIP.2003.819861) for its use. Within 1e-4 dB of torchmetrics' (docs/metrics.md).
"""

import numpy as np
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.intervals import mean_estimate
from metrics.engine.reduced import Reduced

PEAK = 255.0
CEILING = 100.0


def decibels(squared_error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squared errors of levels → PSNR in dB, at most 100."""
    smallest = PEAK**2 / 10 ** (CEILING / 10)
    values: NDArray[np.float64] = 10 * np.log10(PEAK**2 / np.maximum(squared_error, smallest))
    return values


class PsnrMean:
    """The mean PSNR of a column of squared errors."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._errors: list[NDArray[np.float64]] = []

    def add(self, block: Block) -> None:
        rows = block.columns[self._column].astype(np.float64)
        self._errors.append(rows.reshape(len(rows), -1))

    def finish(self, metric: str) -> Reduced:
        errors = np.concatenate(self._errors)
        values = decibels(errors).mean(axis=1)
        equal = (errors == 0).all(axis=1)
        count = int(equal.sum())
        return Reduced(
            mean_estimate(values),
            per_sample=values,
            details={"equal_pairs": float(count)},
            per_sample_details={"equal": equal},
            warnings=(_told(count),) if count else (),
        )


def _told(count: int) -> str:
    pairs = "1 pair is" if count == 1 else f"{count:,} pairs are"
    return f"{pairs} equal pixel by pixel and counted as {CEILING:g} dB, the ceiling."
