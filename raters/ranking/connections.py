"""Which contestants the votes can compare at all: components of the graph of who beat whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, hstack
from scipy.sparse.csgraph import connected_components

from raters.ranking.likelihood import Cells
from raters.ranking.votes import LEFT, OUTCOMES, RIGHT, Codes, Votes


@dataclass(frozen=True, eq=False)
class Connections:
    """Args:
    ranked: (K,) members of the largest strongly connected component: each has a chain of wins (a tie counts both ways)
        over every other, so their order can be estimated. Empty when no two contestants are so linked.
    linked: (K,) all that share a chain of comparisons with those, whatever the outcomes.
    """

    ranked: NDArray[np.bool_]
    linked: NDArray[np.bool_]


def connect(votes: Votes, names: Sequence[str]) -> Connections:
    """Finds the contestants that can be ranked together.

    Among equally large components the one with more votes wins, then the one with the alphabetically first name, so
    that the answer does not depend on the order of contestants or votes.
    """
    k = len(names)
    up = votes.outcome != RIGHT
    down = votes.outcome != LEFT
    beaten = np.zeros((k, k), dtype=bool)
    beaten[votes.left[up], votes.right[up]] = True
    beaten[votes.right[down], votes.left[down]] = True
    graph = coo_array(beaten)
    strong = connected_components(graph, directed=True, connection="strong")[1]
    weak = connected_components(graph, directed=False)[1]
    activity = np.bincount(votes.left, minlength=k) + np.bincount(votes.right, minlength=k)
    ranked = _largest(strong, activity, names)
    linked = weak == weak[ranked.argmax()] if ranked.any() else _largest(weak, activity, names)
    return Connections(ranked=ranked, linked=np.asarray(linked, dtype=bool))


def position_obstacle(votes: Votes) -> str | None:
    """Why the decisions cannot tell a position effect, as a sentence; None when they can."""
    decisions = votes.outcome[votes.outcome <= RIGHT]
    if not len(decisions):
        return "No vote was decided, so a position effect cannot be told; it was left out."
    if (decisions == decisions[0]).all():
        return (
            f"All {len(decisions)} decisions went to the {OUTCOMES[decisions[0]]} side, so a position effect cannot be "
            "told; it was left out. Check that sides are drawn at random and that raters look at both."
        )
    return None


def aliased(cells: Cells) -> list[bool]:
    """Which effects could be differences of strengths, or of these and earlier effects, just as well.

    So it is with the position when no pair, nor any cycle of pairs, was ever turned round, and with a covariate that
    each contestant has once and for all: the least-squares fit of its column by theirs is exact.
    """
    rows = np.arange(len(cells.first))
    ends = (np.tile(rows, 2), np.concatenate([cells.first, cells.second]))
    signs = np.repeat([1.0, -1.0], len(rows))
    known = coo_array((signs, ends), shape=(len(rows), cells.contestants)).tocsr()
    found = []
    for column in cells.effects:
        weights = np.linalg.lstsq((known.T @ known).toarray(), known.T @ column, rcond=None)[0]
        found.append(bool(np.abs(column - known @ weights).max(initial=0) <= 1e-6 * np.abs(column).max(initial=0)))
        if not found[-1]:
            known = hstack([known, column[:, None]]).tocsr()
    return found


def _largest(labels: Codes, activity: Codes, names: Sequence[str]) -> NDArray[np.bool_]:
    sizes = np.bincount(labels)
    if not len(sizes) or sizes.max() < 2:
        return np.zeros(len(labels), dtype=bool)
    votes = np.bincount(labels, activity)
    largest = [c for c in range(len(sizes)) if sizes[c] == sizes.max()]
    first_name = {c: min(name for name, label in zip(names, labels, strict=True) if label == c) for c in largest}
    chosen = min(largest, key=lambda c: (-votes[c], first_name[c]))
    return np.asarray(labels == chosen, dtype=bool)
