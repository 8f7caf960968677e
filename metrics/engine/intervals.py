"""Intervals, each named: a percentile bootstrap for means of per-sample values, a grouped jackknife for set
distances. The groups are drawn by a seed, chunk by chunk of samples, so they follow from a sample's place alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from metrics.engine.moments import CHUNK

LEVEL = 0.95
RESAMPLES = 2_000
SEED = 0
GROUPS = 10

BOOTSTRAP = f"95 % percentile bootstrap over samples, {RESAMPLES:,} resamples, seed {SEED}"
JACKKNIFE = f"95 % jackknife over {{groups}} random groups of samples, seed {SEED}, reference held fixed"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; `low` and `high` are None where too few samples leave no interval."""

    value: float
    low: float | None
    high: float | None
    interval: str


def mean_estimate(values: NDArray[np.float64]) -> Estimate:
    """The mean of (n,) per-sample values with a bootstrap interval. The same values in the same order give the same
    interval."""
    value = float(values.mean())
    if len(values) < 2:
        return Estimate(value, None, None, "none: one sample")
    draws = np.random.default_rng(SEED)
    means = [values[draws.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), BOOTSTRAP)


def jackknife_estimate(value: float, replicates: NDArray[np.float64]) -> Estimate:
    """`value` ± Student's t × the grouped jackknife's standard error.

    Args: replicates: (g,) values, each without one group.
    """
    groups = len(replicates)
    if groups < 2:
        return Estimate(value, None, None, "none: too few samples")
    error = float(np.sqrt((groups - 1) / groups * np.square(replicates - replicates.mean()).sum()))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1)) * error
    return Estimate(value, value - reach, value + reach, JACKKNIFE.format(groups=groups))


def chunk_groups(chunk: int, size: int, groups: int) -> NDArray[np.intp]:
    """The group of each of `size` samples of the chunk of that number; groups of a chunk differ by one at most."""
    return np.random.default_rng([SEED, chunk]).permutation(size) % groups


def group_of(n: int, groups: int) -> NDArray[np.intp]:
    """The group of each of `n` samples."""
    starts = range(0, n, CHUNK)
    return np.concatenate([chunk_groups(start // CHUNK, min(CHUNK, n - start), groups) for start in starts])
