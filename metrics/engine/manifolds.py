"""Precision, recall, density and coverage: how the samples lie among the references in feature space. Higher is better.

Around each picture stands a ball that reaches to its k-th nearest neighbour in its own set. Precision is the share of
samples inside a reference's ball, recall the share of references inside a sample's ball (k = 3). Density is the mean
number of references' balls a sample lies in, over k; coverage the share of references whose ball holds a sample
(k = 5). Inside means strictly nearer than the ball's reach, as `prdc` has it.

Distances are computed in float64, 1,000 × 1,000 at a time, and compared in float32, so that equal pictures are at equal
distances whichever chunk they fall into. Intervals: grouped jackknife, neighbours found anew without each group, the
reference held fixed.

Source: Kynkäänniemi et al. 2019 (arXiv:1904.06991); Naeem et al. 2020 (arXiv:2002.09797). Units: shares; density is a
ratio. Errors: BadInput for fewer than 4 samples or 6 references. Equal to `prdc` on the same features
(docs/metrics.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.intervals import GROUPS, Estimate, group_of, jackknife_estimate
from metrics.engine.moments import CHUNK, Rows

NEAREST_PRECISION_RECALL = 3
NEAREST_DENSITY_COVERAGE = 5

_ROUNDING = 1e-12

Distances = NDArray[np.float32]


class ManifoldReducer:
    """Takes feature rows in sample order and gives all four from one computation. Keeps the rows (8 kB a sample)."""

    def __init__(self, reference: Rows) -> None:
        self._reference = reference
        self._rows: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """(m, d) float32. Raises: Mismatch for another number of features."""
        if rows.shape[1] != self._reference.shape[1]:
            raise Mismatch(
                f"The reference has {self._reference.shape[1]} features and {rows.shape[1]} came; use one extractor "
                "for both."
            )
        self._rows.append(rows)

    def estimate(self, metric: str) -> Estimate:
        """`precision`, `recall`, `density` or `coverage`. Raises: BadInput for too few pictures."""
        return self._estimates[metric]

    @cached_property
    def _estimates(self) -> Mapping[str, Estimate]:
        samples = np.concatenate(self._rows) if self._rows else self._reference[:0]
        n, m = len(samples), len(self._reference)
        if n <= NEAREST_PRECISION_RECALL or m <= NEAREST_DENSITY_COVERAGE:
            raise BadInput(
                f"Precision, recall, density and coverage look for up to {NEAREST_DENSITY_COVERAGE} neighbours and "
                f"need at least {NEAREST_PRECISION_RECALL + 1} samples and {NEAREST_DENSITY_COVERAGE + 1} references; "
                f"{n} and {m} came; add more."
            )
        # Without a group, samples must still have their neighbours.
        groups = min(GROUPS, n) if n > 2 * NEAREST_PRECISION_RECALL else 0
        member = group_of(n, groups) if groups else np.zeros(n, np.intp)
        return _measured(samples, self._reference, member, groups)


def _measured(samples: Rows, reference: Rows, member: NDArray[np.intp], groups: int) -> dict[str, Estimate]:
    """All four, and without each group in turn. Versions: 0 is the whole set, 1 + g the set without group g."""
    nearest = max(NEAREST_PRECISION_RECALL, NEAREST_DENSITY_COVERAGE)
    closest = _closest(reference, nearest)
    wide, wider = closest[:, NEAREST_PRECISION_RECALL - 1], closest[:, NEAREST_DENSITY_COVERAGE - 1]
    kept = np.stack([np.ones(len(samples), np.bool_), *(member != group for group in range(groups))])
    reach = _reach_of_versions(samples, member, groups)

    precise = np.zeros(len(samples), np.bool_)
    balls = np.zeros(len(samples), np.int64)
    recalled = np.zeros((len(kept), len(reference)), np.bool_)
    covered = np.zeros((len(kept), len(reference)), np.bool_)
    for rows, columns, distance in _tiles(reference, samples):
        precise[columns] |= (distance < wide[rows, None]).any(axis=0)
        within = distance < wider[rows, None]
        balls[columns] += within.sum(axis=0)
        for version, mask in enumerate(kept):
            # A sample that was left out reaches nowhere: its reach is below every distance.
            recalled[version, rows] |= (distance < reach[version, columns]).any(axis=1)
            covered[version, rows] |= within[:, mask[columns]].any(axis=1)
    return {
        "precision": _estimate([precise[mask].mean() for mask in kept], most=1.0),
        "recall": _estimate(list(recalled.mean(axis=1)), most=1.0),
        "density": _estimate([balls[mask].mean() / NEAREST_DENSITY_COVERAGE for mask in kept], most=np.inf),
        "coverage": _estimate(list(covered.mean(axis=1)), most=1.0),
    }


def _estimate(versions: list[np.float64], *, most: float) -> Estimate:
    """The jackknife's, its interval cut to what a share or a ratio can be."""
    estimate = jackknife_estimate(float(versions[0]), np.array(versions[1:]))
    if estimate.low is None or estimate.high is None:
        return estimate
    return replace(estimate, low=max(estimate.low, 0.0), high=min(estimate.high, most))


def _reach_of_versions(samples: Rows, member: NDArray[np.intp], groups: int) -> Distances:
    """(1 + groups, n): how far each sample's ball reaches in each version; -1 where the sample is left out of it."""
    count = max(groups, 1)
    found = np.full((len(samples), count, NEAREST_PRECISION_RECALL), np.inf, np.float32)
    for rows, columns, distance in _tiles(samples, samples):
        _leave_out_selves(distance, rows, columns)
        for group in range(count):
            mine = np.concatenate([found[rows, group], distance[:, member[columns] == group]], axis=1)
            found[rows, group] = np.partition(mine, NEAREST_PRECISION_RECALL - 1)[:, :NEAREST_PRECISION_RECALL]
    versions = [_kth(found.reshape(len(samples), -1))]
    for group in range(groups):
        reach = _kth(np.delete(found, group, axis=1).reshape(len(samples), -1))
        reach[member == group] = -1.0
        versions.append(reach)
    return np.stack(versions)


def _kth(distances: Distances) -> Distances:
    kth: Distances = np.partition(distances, NEAREST_PRECISION_RECALL - 1)[:, NEAREST_PRECISION_RECALL - 1]
    return kth


def _closest(rows: Rows, nearest: int) -> Distances:
    """(n, nearest): each row's distances to its nearest others, ascending."""
    found = np.full((len(rows), nearest), np.inf, np.float32)
    for mine, others, distance in _tiles(rows, rows):
        _leave_out_selves(distance, mine, others)
        both = np.concatenate([found[mine], distance], axis=1)
        found[mine] = np.partition(both, nearest - 1)[:, :nearest]
    return np.sort(found, axis=1)


def _leave_out_selves(distance: Distances, rows: slice, columns: slice) -> None:
    if rows == columns:
        np.fill_diagonal(distance, np.inf)


def _tiles(first: Rows, second: Rows) -> Iterator[tuple[slice, slice, Distances]]:
    """The distances between two sets, a tile at a time: which rows, which columns, (a, b) distances."""
    for rows in _slices(len(first)):
        mine = first[rows].astype(np.float64)
        for columns in _slices(len(second)):
            others = second[columns].astype(np.float64)
            lengths = np.square(mine).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
            squares = lengths - 2 * (mine @ others.T)
            # What the subtraction leaves of equal rows is rounding: they are at no distance.
            squares[squares < _ROUNDING * lengths] = 0.0
            yield rows, columns, np.sqrt(squares).astype(np.float32)


def _slices(n: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
