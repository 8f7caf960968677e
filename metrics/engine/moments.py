"""Moments of a set of features as sums that add up: n, Σx and Σxxᵀ in float64."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

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
        # In one array: a covariance of 2,048 features is 34 MB.
        covariance: Matrix = np.outer(self.total, -self.mean)
        covariance += self.outer
        covariance /= self.n - 1
        return covariance

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for a safetensors file; `from_arrays` takes them back."""
        return {"n": np.array([self.n], dtype=np.int64), "total": self.total, "outer": self.outer}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Moments":
        moments = cls(len(arrays["total"]))
        moments.n = int(arrays["n"][0])
        moments.total, moments.outer = arrays["total"].astype(np.float64), arrays["outer"].astype(np.float64)
        return moments


class GroupedMoments:
    """Moments of several groups of one set, in half the memory: the symmetric sums of two groups share one array, each
    in a triangle of its own."""

    def __init__(self, dimensions: int, groups: int) -> None:
        self._sizes = [0] * groups
        self._totals = np.zeros((groups, dimensions))
        # One column more than rows, so that both triangles have a diagonal.
        self._pairs = [np.zeros((dimensions, dimensions + 1), order="F") for _ in range((groups + 1) // 2)]

    def update(self, group: int, rows: Rows) -> None:
        """Adds (m, d) rows to one group."""
        exact = rows.astype(np.float64)
        self._sizes[group] += len(rows)
        self._totals[group] += exact.sum(axis=0)
        square, lower = self._square(group), group % 2 == 0
        added = linalg.blas.dsyrk(1.0, exact.T, beta=1.0, c=square, lower=lower, overwrite_c=1)
        if not np.may_share_memory(added, square):
            square[...] = added

    def union(self, groups: Iterable[int]) -> Moments:
        """The moments of several groups together."""
        whole = Moments(self._totals.shape[1])
        lower, upper = whole.outer.T, np.zeros_like(whole.outer, order="F")
        for group in groups:
            whole.n += self._sizes[group]
            whole.total += self._totals[group]
            half = upper if group % 2 else lower
            half += self._square(group)
        # Of each half only its own triangle is of these groups; the rest is their partners'.
        for place in range(len(lower)):
            lower[place:, place] += upper[place, place:]
            lower[place, place:] = lower[place:, place]
        return whole

    def _square(self, group: int) -> Matrix:
        pair = self._pairs[group // 2]
        return pair[:, 1:] if group % 2 else pair[:, :-1]


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
