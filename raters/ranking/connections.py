"""Which contestants the votes can compare at all: components of the graph of who beat whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from raters.ranking.votes import LEFT, RIGHT, Codes, Floats, Votes


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


def position_is_identified(first: Codes, second: Codes, contestants: int) -> bool:
    """Whether the sides varied enough to tell the position effect from the strengths.

    They did not when some strengths alone make every shown pair differ by exactly one: then δ is aliased with them. The
    test is the residual of the least-squares fit of ones by those differences over the (C,) ordered pairs shown.
    """
    if not len(first):
        return False
    ones = np.ones(len(first))
    pairs = np.bincount(first * contestants + second, minlength=contestants**2).reshape(contestants, contestants)
    laplacian: Floats = np.diag(pairs.sum(axis=0) + pairs.sum(axis=1)).astype(np.float64) - pairs - pairs.T
    target = np.bincount(first, ones, contestants) - np.bincount(second, ones, contestants)
    potential = np.linalg.lstsq(laplacian, target, rcond=None)[0]
    return bool(np.abs(ones - potential[first] + potential[second]).max() > 1e-6)


def _largest(labels: Codes, activity: Codes, names: Sequence[str]) -> NDArray[np.bool_]:
    sizes = np.bincount(labels)
    if not len(sizes) or sizes.max() < 2:
        return np.zeros(len(labels), dtype=bool)
    votes = np.bincount(labels, activity)
    largest = [c for c in range(len(sizes)) if sizes[c] == sizes.max()]
    first_name = {c: min(name for name, label in zip(names, labels, strict=True) if label == c) for c in largest}
    chosen = min(largest, key=lambda c: (-votes[c], first_name[c]))
    return np.asarray(labels == chosen, dtype=bool)
