"""Which contestants the votes can compare at all: components of the graph of who beat whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts take long to load, and load when they are used
from numpy.typing import NDArray

from raters.ranking.likelihood import Cells
from raters.ranking.votes import BOTH_BAD, LEFT, OUTCOMES, RIGHT, TIE, Codes, Floats, Pairs, Votes


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
    return connect_pairs(Pairs.of(votes, len(names)), names)


def connect_pairs(pairs: Pairs, names: Sequence[str]) -> Connections:
    """The same from votes already counted, by outcome."""
    k, counts = len(names), pairs.counts
    up = counts[LEFT] + counts[TIE] + counts[BOTH_BAD] > 0
    down = counts[RIGHT] + counts[TIE] + counts[BOTH_BAD] > 0
    winners = np.concatenate([pairs.first[up], pairs.second[down]])
    losers = np.concatenate([pairs.second[up], pairs.first[down]])
    graph = scipy.sparse.coo_array((np.ones(len(winners), dtype=bool), (winners, losers)), shape=(k, k))
    strong = scipy.sparse.csgraph.connected_components(graph, directed=True, connection="strong")[1]
    weak = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    total = counts.sum(axis=0)
    activity = np.bincount(pairs.first, total, k) + np.bincount(pairs.second, total, k)
    ranked = _largest(strong, activity, names)
    linked = weak == weak[ranked.argmax()] if ranked.any() else _largest(weak, activity, names)
    return Connections(ranked=ranked, linked=np.asarray(linked, dtype=bool))


def position_obstacle(left: float, right: float) -> str | None:
    """Why decisions, so many for each side, cannot tell a position effect, as a sentence; None when they can."""
    if not left + right:
        return "No vote was decided, so a position effect cannot be told; it was left out."
    if not (left and right):
        decisions = "The only decision" if left + right == 1 else f"All {left + right:,.0f} decisions"
        return (
            f"{decisions} went to the {OUTCOMES[LEFT if left else RIGHT]} side, so a position effect cannot be told; "
            "it was left out. Check that sides are drawn at random and that raters look at both."
        )
    return None


def aliased(cells: Cells) -> list[bool]:
    """Which effects could be differences of strengths, or of these and earlier effects, just as well.

    So it is with the position when no pair, nor any cycle of pairs, was ever turned round, and with a covariate that
    each contestant has once and for all: the least-squares fit of its column by theirs is exact.
    """
    if len(cells.effects) == 1 and not cells.single and _turned_round(cells):
        return [False]
    rows = np.arange(len(cells.first))
    ends = (np.tile(rows, 2), np.concatenate([cells.first, cells.second]))
    signs = np.repeat([1.0, -1.0], len(rows))
    known = scipy.sparse.coo_array((signs, ends), shape=(len(rows), cells.contestants)).tocsr()
    found = []
    for column in cells.effects:
        normal, target = (known.T @ known).toarray(), known.T @ column
        weights = scipy.linalg.lstsq(normal, target, lapack_driver="gelsy", check_finite=False)[0]
        found.append(bool(np.abs(column - known @ weights).max(initial=0) <= 1e-6 * np.abs(column).max(initial=0)))
        if not found[-1]:
            known = scipy.sparse.hstack([known, column[:, None]]).tocsr()
    return found


def _turned_round(cells: Cells) -> bool:
    """Whether a pair was shown both ways: strengths change sign with the sides then, and the position does not."""
    return bool(np.isin(cells.second * cells.contestants + cells.first, cells.pair).any())


def _largest(labels: Codes, activity: Codes | Floats, names: Sequence[str]) -> NDArray[np.bool_]:
    sizes = np.bincount(labels)
    if not len(sizes) or sizes.max() < 2:
        return np.zeros(len(labels), dtype=bool)
    votes = np.bincount(labels, activity)
    largest = [c for c in range(len(sizes)) if sizes[c] == sizes.max()]
    first_name = {c: min(name for name, label in zip(names, labels, strict=True) if label == c) for c in largest}
    chosen = min(largest, key=lambda c: (-votes[c], first_name[c]))
    return np.asarray(labels == chosen, dtype=bool)
