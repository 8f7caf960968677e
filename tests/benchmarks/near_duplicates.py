"""Near-duplicates among the features of fifty thousand pictures: beside scikit-learn's search within a radius, and the
memory beside that of a fifth of them."""

import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

from metrics.engine.near_pairs import Rows, near_pairs, unit
from tests.benchmarks import Measure, alternately

ROWS = int(os.environ.get("BENCH_FEATURES", "50000"))
LENGTH = 2_048  # as Inception's
THRESHOLD = 0.85
COPIES = 100  # one row in so many is another one with a little noise
ROUNDS = 1  # a round takes minutes


def measure(rows: int = ROWS, rounds: int = ROUNDS) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory() as folder:
        many, few = (_features(Path(folder) / str(number), number) for number in (rows, rows // 5))
        _agree(few)
        ours, theirs = alternately(lambda: _ours(many), lambda: _theirs(many), times=rounds, warm=False)
        product = rows * (rows - 1) / 2 * 2 * LENGTH / min(ours) / 1e9
        yield Measure(
            f"near-duplicates among {rows:,} × {LENGTH:,} features",
            ours,
            "scikit-learn, radius_neighbors",
            theirs,
            goal=1.2,
            note=f"the same pairs; {product:,.0f} GFLOP/s of the products that are needed",
        )
        yield Measure(
            f"memory of that beyond the features, of {rows:,}",
            [_beyond(many)],
            f"of {rows // 5:,}",
            [_beyond(few)],
            goal=1 / 1.1,
            unit="MiB",
        )


def _features(path: Path, number: int) -> Rows:
    """Directions in a file that is mapped into memory, as the search has them: random ones, and some nearly alike."""
    random = np.random.default_rng(number)
    rows = np.memmap(path, dtype=np.float32, mode="w+", shape=(number, LENGTH))
    for start in range(0, number, 1_000):
        some = random.standard_normal((min(1_000, number - start), LENGTH), dtype=np.float32)
        rows[start : start + len(some)] = unit(some)
    copies = random.choice(number, number // COPIES, replace=False)
    originals = random.integers(0, number, len(copies))
    noise = 0.3 * unit(random.standard_normal((len(copies), LENGTH), dtype=np.float32))
    rows[copies] = unit(rows[originals] + noise)
    rows.flush()
    return rows


def _ours(rows: Rows) -> set[tuple[int, int]]:
    found = near_pairs(rows, threshold=THRESHOLD, most=len(rows))
    assert found.total == len(found.first)
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


def _theirs(rows: Rows) -> set[tuple[int, int]]:
    """Of unit vectors the distance says the cosine: d² = 2 − 2 cos."""
    search = NearestNeighbors(radius=(2 - 2 * THRESHOLD) ** 0.5, algorithm="brute").fit(rows)
    near = search.radius_neighbors(rows, return_distance=False)
    return {(first, int(second)) for first, found in enumerate(near) for second in found if first < second}


def _agree(rows: Rows) -> None:
    assert _ours(rows) == _theirs(rows) != set()


def _beyond(rows: Rows) -> float:
    """The most that numpy holds during a search, in MiB; the mapped file's pages are the system's, to take away."""
    tracemalloc.start()
    near_pairs(rows, threshold=THRESHOLD)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20
