"""Moments of a set of features as sums that add up: n, Σx and Σxxᵀ in float64."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Mismatch

Rows = NDArray[np.float32]
Matrix = NDArray[np.float64]

CHUNK = 1_000
"""Rows that enter the sums at once, counted from the first sample: sums are then equal however the rows were
sharded."""


class Moments:
    """Sums over (n, d) features. Adding sets is adding sums; nothing is kept of single samples."""

    PARTS = ("n", "total", "outer")
    """The names of what `to_arrays` gives."""

    def __init__(self, dimensions: int) -> None:
        self.n = 0
        self.total: NDArray[np.float64] = np.zeros(dimensions)
        self.outer: Matrix = np.zeros((dimensions, dimensions))

    @classmethod
    def of(cls, rows: Iterable[Rows], dimensions: int) -> "Moments":
        """The moments of all rows, taken in chunks of one fixed size."""
        moments = cls(dimensions)
        for chunk in chunked(rows):
            moments.update(chunk)
        return moments

    @classmethod
    def sum_of(cls, parts: Sequence["Moments"]) -> "Moments":
        """The moments of all parts together; at least one."""
        whole = cls(parts[0].dimensions)
        for part in parts:
            whole.n += part.n
            whole.total += part.total
            whole.outer += part.outer
        return whole

    @property
    def dimensions(self) -> int:
        return len(self.total)

    def update(self, rows: Rows) -> None:
        """Adds (m, d) rows. Raises: Mismatch if their width is another."""
        if rows.shape[1] != self.dimensions:
            raise Mismatch(
                f"These moments have {self.dimensions} features and {rows.shape[1]} came; use one extractor for both."
            )
        exact = rows.astype(np.float64)
        self.n += len(rows)
        self.total += exact.sum(axis=0)
        self.outer += exact.T @ exact

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both sets together."""
        return self._combined(other, 1)

    def without(self, part: "Moments") -> "Moments":
        """The moments of this set less a part of it."""
        return self._combined(part, -1)

    def _combined(self, other: "Moments", sign: int) -> "Moments":
        if other.dimensions != self.dimensions:
            raise Mismatch(
                f"Moments of {self.dimensions} and of {other.dimensions} features cannot meet; use one extractor."
            )
        both = Moments(self.dimensions)
        both.n = self.n + sign * other.n
        both.total = self.total + sign * other.total
        both.outer = self.outer + sign * other.outer
        return both

    @property
    def mean(self) -> NDArray[np.float64]:
        return self.total / self.n

    @property
    def covariance(self) -> Matrix:
        """Unbiased (d, d). Raises: BadInput below two samples."""
        if self.n < 2:
            raise BadInput(f"A covariance needs at least 2 pictures, and the set has {self.n}; add more.")
        return (self.outer - np.outer(self.total, self.mean)) / (self.n - 1)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for a safetensors file; `from_arrays` takes them back."""
        return {"n": np.array([self.n], dtype=np.int64), "total": self.total, "outer": self.outer}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Moments":
        moments = cls(len(arrays["total"]))
        moments.n = int(arrays["n"][0])
        moments.total, moments.outer = arrays["total"].astype(np.float64), arrays["outer"].astype(np.float64)
        return moments


def chunked(rows: Iterable[Rows], size: int = CHUNK) -> Iterator[Rows]:
    """The same rows in the same order, cut into pieces of `size` counted from the first, whatever pieces they come
    in."""
    held: list[Rows] = []
    count = 0
    for piece in rows:
        while count + len(piece) >= size:
            taken = size - count
            yield np.concatenate([*held, piece[:taken]])
            piece, held, count = piece[taken:], [], 0
        if len(piece):
            held.append(piece)
            count += len(piece)
    if held:
        yield np.concatenate(held)
