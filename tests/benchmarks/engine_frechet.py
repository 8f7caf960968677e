"""The Fréchet distance of 2,048-dimensional moments: ours beside `scipy.linalg.sqrtm`, as every other tool takes it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from metrics.engine.frechet import frechet_distance
from metrics.engine.moments import Moments
from tests.benchmarks import Claim, Measure, alternately

DIMENSIONS, REFERENCES = 2048, 6_000
ROUNDS = 2
CASES = ((5_000, 4.0, "full rank"), (1_000, 20.0, "fewer samples than dimensions"))
AGREEMENT = 1e-6


def measure() -> Iterator[Measure | Claim]:
    reference = Moments.of([features(REFERENCES, 2)], DIMENSIONS)
    for n, goal, rank in CASES:
        samples = Moments.of([features(n, 1)], DIMENSIONS)
        found: dict[str, float] = {}

        def ours(samples: Moments = samples, found: dict[str, float] = found) -> None:
            found["ours"] = frechet_distance(samples, reference)

        def theirs(samples: Moments = samples, found: dict[str, float] = found) -> None:
            found["theirs"] = by_matrix_root(samples, reference)

        # A matrix root takes a minute or more, beside which a first round's warming up is nothing.
        mine, root = alternately(ours, theirs, times=ROUNDS, warm=False)
        what = f"Fréchet distance of {DIMENSIONS:,}-d moments, {n:,} against {REFERENCES:,} pictures ({rank})"
        yield Measure(what, mine, "scipy.linalg.sqrtm", root, goal)
        difference = abs(found["ours"] / found["theirs"] - 1)
        yield Claim(f"{what}: relative difference", difference, high=AGREEMENT)


def features(n: int, seed: int) -> NDArray[np.float32]:
    """Correlated, skewed, non-negative rows with a falling spectrum, as pooled activations are."""
    draws = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    falling = np.exp(-np.arange(DIMENSIONS) / (DIMENSIONS / 6))[:, None]
    rows = draws.normal(size=(n, DIMENSIONS)) @ (falling * mixing) + 0.05 * draws.normal(size=(n, DIMENSIONS))
    return np.abs(rows + 0.1 * seed).astype(np.float32)


def by_matrix_root(first: Moments, second: Moments) -> float:
    one, two = first.covariance, second.covariance
    gap = first.mean - second.mean
    return float(gap @ gap + np.trace(one + two) - 2 * np.trace(linalg.sqrtm(one @ two)).real)
