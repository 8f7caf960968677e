"""Pairs of rows that point in nearly the same direction: near-duplicates by their features. Imports no torch.

The similarity is the cosine of two feature vectors, 1 for the same picture. What counts as near depends on the network:
`THRESHOLDS` has a value for each column that can be searched, and docs/metrics.md how it was found.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Stopped

Rows = NDArray[np.float32]

# The first of these of which there are features is searched.
THRESHOLDS: Mapping[str, float] = MappingProxyType(
    {"dinov2": 0.9, "clip_large": 0.95, "clip_image": 0.95, "inception": 0.85}
)
TILE = 1024
"""Rows a side of what is multiplied at once: 8 MiB of 2,048 features each, 4 MiB of cosines."""


@dataclass
class NearPairs:
    """The most similar pairs at or above a threshold, the most similar first.

    Attributes:
        first, second: (k,) rows; of one set the smaller is first, of two sets `first` is of the samples.
        similarity: (k,) cosines.
        total: how many pairs there are at or above the threshold; only the most similar of them are kept.
        near: (n,) which samples are in any of them.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    similarity: Rows
    total: int
    near: NDArray[np.bool_]


def unit(rows: NDArray[np.floating]) -> Rows:
    """(n, …) features as (n, d) rows of length 1: of several frames their mean; a row of zeros is near nothing."""
    flat = rows.mean(axis=1) if rows.ndim == 3 else rows
    lengths = np.linalg.norm(flat.astype(np.float64), axis=1, keepdims=True)
    made: Rows = np.divide(flat, lengths, out=np.zeros(flat.shape), where=lengths > 0).astype(np.float32)
    return made


def near_pairs(
    samples: Rows,
    others: Rows | None = None,
    *,
    threshold: float,
    most: int = 1000,
    own: NDArray[np.int64] | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NearPairs:
    """Compares every sample with every later one, or with every row of `others`, a tile at a time.

    Memory does not grow with the number of rows beyond them and `most`; rows may be a memory-mapped file.

    Args:
        samples: (n, d) rows of length 1; others: (m, d), too.
        most: how many pairs are kept.
        own: (n, k) rows of `others` that a sample is meant to resemble, and is not compared with; -1 for none.
        on_progress: told the share that is done.
    Raises: BadInput if the two have other lengths; Stopped when asked to stop.
    """
    against = samples if others is None else others
    if samples.shape[1] != against.shape[1]:
        raise BadInput(f"Rows of {samples.shape[1]} and of {against.shape[1]} features cannot be compared.")
    found = _Kept(threshold, most, np.zeros(len(samples), dtype=np.bool_))
    starts = [
        (top, left)
        for top in range(0, len(samples), TILE)
        for left in range(top if others is None else 0, len(against), TILE)
    ]
    for done, (top, left) in enumerate(starts):
        if should_stop():
            raise Stopped("The search for near-duplicates was asked to stop.")
        cosines = np.asarray(samples[top : top + TILE]) @ np.asarray(against[left : left + TILE]).T
        if others is None and top == left:
            cosines[np.tril_indices(len(cosines))] = -np.inf
        if own is not None:
            _leave_out(cosines, own[top : top + TILE] - left)
        found.add(cosines, top, left, both=others is None)
        on_progress((done + 1) / len(starts))
    return found.pairs()


def _leave_out(cosines: Rows, own: NDArray[np.int64]) -> None:
    row, column = np.nonzero((own >= 0) & (own < cosines.shape[1]))
    cosines[row, own[row, column]] = -np.inf


@dataclass
class _Kept:
    """The pairs of all tiles until now, cut to the most similar whenever they are twice too many."""

    threshold: float
    most: int
    near: NDArray[np.bool_]
    total: int = 0
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], Rows]] = field(default_factory=list)
    held: int = 0

    def add(self, cosines: Rows, top: int, left: int, *, both: bool) -> None:
        if cosines.max() < self.threshold:  # as of most tiles; told in a thirtieth of the time
            return
        row, column = np.nonzero(cosines >= self.threshold)
        if not len(row):
            return
        self.total += len(row)
        self.near[row + top] = True
        if both:
            self.near[column + left] = True
        self._hold(row + top, column + left, cosines[row, column])

    def _hold(self, first: NDArray[np.int64], second: NDArray[np.int64], similarity: Rows) -> None:
        self.parts.append((first, second, similarity))
        self.held += len(first)
        if self.held > 2 * self.most:
            kept = self._best()
            self.parts, self.held = [kept], len(kept[0])

    def _best(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Rows]:
        first, second, similarity = (np.concatenate([part[place] for part in self.parts]) for place in range(3))
        # Equally similar ones in the order of their rows, so that the same features give the same pairs.
        order = np.lexsort((second, first, -similarity))[: self.most]
        return first[order], second[order], similarity[order]

    def pairs(self) -> NearPairs:
        if not self.parts:
            nothing = np.zeros(0, dtype=np.int64)
            return NearPairs(nothing, nothing, np.zeros(0, dtype=np.float32), 0, self.near)
        return NearPairs(*self._best(), self.total, self.near)
