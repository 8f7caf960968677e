"""FID and FID∞ from feature rows as they come; also the Fréchet distance of other features (`fd_dinov2`).

FID is the Fréchet distance (`frechet`) of the samples' Gaussian from the reference's. It is biased upwards by about a
constant over n. FID∞ is the value that a straight line through (1/n, FID) has at 1/n = 0, fitted by least squares to
fifths, halves and the whole of the samples, each size averaged over its disjoint sets.

Source: Heusel et al. 2017 (arXiv:1706.08500); Chong and Forsyth 2020 (arXiv:1911.07023), who fit 15 overlapping random
subsets; disjoint ones of three sizes give a smaller variance at half the work.
Units: squared feature distance. Errors: BadInput for fewer than 2 (FID) or 10 (FID∞) samples. Tolerances:
docs/metrics.md.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.frechet import Target
from metrics.engine.intervals import GROUPS, Estimate, chunk_groups, group_of, jackknife_estimate
from metrics.engine.moments import CHUNK, GroupedMoments, Moments, Rows

FIFTHS = tuple(range(first, first + 2) for first in range(0, GROUPS, 2))
HALVES = (range(GROUPS // 2), range(GROUPS // 2, GROUPS))

Values = NDArray[np.float64]


class FidReducer:
    """Takes feature rows in sample order and gives FID and FID∞, each with a grouped jackknife interval.

    Memory does not grow with the samples: rows are kept only while there are no more of them than features; after that,
    the moments of ten random groups. FID∞ and FID share the groups and eleven distances.
    """

    def __init__(self, reference: Moments, title: str = "FID") -> None:
        self._title = title  # of the metric, for its errors
        self._target = Target(reference)
        self._dimensions = reference.dimensions
        self._held: list[Rows] = []
        self._groups: GroupedMoments | None = None
        self._n = self._absorbed = 0

    def add(self, rows: Rows) -> None:
        """(m, d) float32. Raises: Mismatch for another number of features."""
        if rows.shape[1] != self._dimensions:
            raise Mismatch(
                f"The reference has {self._dimensions} features and {rows.shape[1]} came; use one extractor for both."
            )
        self._n += len(rows)
        self._held.append(rows)
        if self._n > self._dimensions:
            self._absorb(whole_chunks=True)

    def estimate(self) -> Estimate:
        """FID. Raises: BadInput below two samples."""
        if self._n < 2:
            raise BadInput(f"{self._title} needs at least 2 samples, and {self._n} came; add more.")
        return jackknife_estimate(*self._whole)

    def infinity(self) -> Estimate:
        """FID∞. Raises: BadInput below ten samples."""
        if self._n < GROUPS:
            raise BadInput(f"FID∞ needs at least {GROUPS} samples, and {self._n} came; add more.")
        everyone, without = self._whole
        fifths, halves = self._distances(FIFTHS), self._distances(HALVES)
        sizes = [self._n / 5, self._n / 2, self._n]
        value = _intercept(sizes, [fifths.mean(), halves.mean(), everyone])
        replicates = [
            # Only the sets that the group is not part of are left of a replicate.
            _intercept(
                [*sizes[:2], self._n - self._sizes[group]],
                [fifths[_outside(FIFTHS, group)].mean(), halves[_outside(HALVES, group)].mean(), without[group]],
            )
            for group in range(GROUPS)
        ]
        return jackknife_estimate(value, np.array(replicates))

    @cached_property
    def _whole(self) -> tuple[float, Values]:
        """The distance of all samples, and without each group."""
        self._absorb(whole_chunks=False)
        # Each replicate needs two samples of its own.
        groups = min(GROUPS, self._n) if self._n > 3 else 0
        kept = [[each for each in range(groups) if each != group] for group in range(groups)]
        everyone, *without = self._distances([range(groups or 1), *kept])
        return float(everyone), np.array(without)

    def _distances(self, unions: Sequence[Sequence[int]]) -> Values:
        """The distance of each union of groups."""
        if self._groups is not None:
            return np.array([self._target.distance(self._groups.union(each)) for each in unions])
        rows = np.concatenate(self._held)
        group = self._membership
        return np.array(
            self._target.distances_of_few(rows, [np.flatnonzero(np.isin(group, list(each))) for each in unions])
        )

    @cached_property
    def _membership(self) -> NDArray[np.intp]:
        return group_of(self._n, min(GROUPS, self._n) if self._n > 3 else 1)

    @cached_property
    def _sizes(self) -> NDArray[np.intp]:
        return np.bincount(self._membership, minlength=GROUPS)

    def _absorb(self, *, whole_chunks: bool) -> None:
        if self._n <= self._dimensions:
            return
        if self._groups is None:
            self._groups = GroupedMoments(self._dimensions, GROUPS)
        rows = np.concatenate(self._held)
        end = len(rows) - len(rows) % CHUNK if whole_chunks else len(rows)
        for start in range(0, end, CHUNK):
            chunk = rows[start : min(start + CHUNK, end)]
            membership = chunk_groups(self._absorbed // CHUNK, len(chunk), GROUPS)
            for group in range(GROUPS):
                self._groups.update(group, chunk[membership == group])
            self._absorbed += len(chunk)
        self._held = [rows[end:]]


def _outside(sets: Sequence[range], group: int) -> list[int]:
    return [index for index, members in enumerate(sets) if group not in members]


def _intercept(sizes: Sequence[float], distances: Sequence[float]) -> float:
    """What the least-squares line through (1/size, distance) has at 0."""
    x, y = 1 / np.array(sizes), np.array(distances)
    slope = ((x - x.mean()) @ (y - y.mean())) / np.square(x - x.mean()).sum()
    return float(y.mean() - slope * x.mean())
