"""Near pairs tile by tile are those of one large product."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics.engine import near_pairs as module
from metrics.engine.errors import BadInput, Stopped
from metrics.engine.near_pairs import near_pairs, unit


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE", 16)


def rows(count: int, seed: int, width: int = 8) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32))


def brute(
    samples: NDArray[np.float32], others: NDArray[np.float32] | None, threshold: float
) -> dict[tuple[int, int], float]:
    against = samples if others is None else others
    return {
        (a, b): float(samples[a] @ against[b])
        for a in range(len(samples))
        for b in range(0 if others is not None else a + 1, len(against))
        if samples[a] @ against[b] >= threshold
    }


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 70])
@pytest.mark.parametrize("beside", [None, 1, 33])
def test_the_same_pairs_as_by_brute_force(count: int, beside: int | None) -> None:
    samples, others = rows(count, 1), None if beside is None else rows(beside, 2)
    found = near_pairs(samples, others, threshold=0.6)
    expected = brute(samples, others, 0.6)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert dict.fromkeys(pairs) == dict.fromkeys(sorted(expected, key=lambda pair: (-expected[pair], pair)))
    assert found.similarity == pytest.approx([expected[pair] for pair in pairs], abs=1e-6)
    assert found.total == len(expected)
    near = {a for a, _ in expected} | ({b for _, b in expected} if others is None else set())
    assert set(np.flatnonzero(found.near)) == near


def test_the_most_similar_are_kept_and_all_are_counted() -> None:
    samples = rows(80, 3)
    whole, cut = near_pairs(samples, threshold=0.3), near_pairs(samples, threshold=0.3, most=7)
    assert (cut.total, len(cut.first)) == (whole.total, 7)
    assert cut.similarity.tolist() == whole.similarity[:7].tolist()
    assert cut.first.tolist() == whole.first[:7].tolist()


def test_what_an_output_is_meant_to_resemble_is_no_find() -> None:
    samples = rows(40, 4)
    own = np.stack([np.arange(40), np.full(40, -1)], axis=1)
    found = near_pairs(samples, samples, threshold=0.9999, own=own)
    assert found.total == 0
    assert near_pairs(samples, samples, threshold=0.9999).total == 40


def test_frames_are_averaged_and_nothing_is_near_nothing() -> None:
    frames = np.random.default_rng(5).normal(size=(4, 3, 8)).astype(np.float32)
    assert unit(frames) == pytest.approx(unit(frames.mean(axis=1)))
    assert near_pairs(unit(np.zeros((3, 8), dtype=np.float32)), threshold=0.1).total == 0


def test_rows_of_another_length_are_refused_and_a_search_stops() -> None:
    with pytest.raises(BadInput, match="8 and of 4"):
        near_pairs(rows(3, 1), rows(3, 1, 4), threshold=0.5)
    with pytest.raises(Stopped):
        near_pairs(rows(3, 1), threshold=0.5, should_stop=lambda: True)


def test_memory_is_that_of_a_tile() -> None:
    """All pairs are near: what is kept is cut as it comes."""
    alike = unit(np.ones((2_000, 8), dtype=np.float32))
    tracemalloc.start()
    found = near_pairs(alike, threshold=0.5, most=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.total == 2_000 * 1_999 // 2
    assert peak < 2_000_000  # all pairs are 40 MB
