"""Krippendorff's alpha: a published example, evalica's on random judgements, and the interval by simulation."""

from dataclasses import replace
from typing import Any, get_args

import evalica
import numpy as np
import pandas as pd
import pytest

from raters.ranking import MalformedVotes, UnknownOption, Votes, krippendorff_alpha, preferences
from raters.ranking.agreement import Distance

# Three coders and fifteen units, * where a coder did not judge: Wikipedia, Krippendorff's alpha.
EXAMPLE = """
* * * * * 3 4 1 2 1 1 3 3 * 3
1 * 2 1 3 3 4 3 * * * * * * *
* * 2 1 3 4 4 * 2 1 1 3 3 * 4
"""


def columns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units and values of a table of raters by units, nan where missing."""
    rows = np.isfinite(table)
    return np.broadcast_to(np.arange(table.shape[1]), table.shape)[rows], table[rows]


def example() -> np.ndarray:
    rows = [line.split() for line in EXAMPLE.strip().splitlines()]
    return np.array([[np.nan if cell == "*" else float(cell) for cell in row] for row in rows])


@pytest.mark.parametrize(("distance", "alpha"), [("nominal", 0.691358), ("ordinal", 0.806721), ("interval", 0.810845)])
def test_the_published_example(distance: Distance, alpha: float) -> None:
    found = krippendorff_alpha(*columns(example()), distance=distance)
    assert found.alpha == pytest.approx(alpha, abs=1e-6)
    assert (found.units, found.values) == (12, 26)
    assert found.low is not None
    assert found.high is not None
    assert found.low < alpha < found.high


@pytest.mark.parametrize("distance", get_args(Distance))
@pytest.mark.parametrize("seed", range(4))
def test_as_evalica(seed: int, distance: Distance) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 5, 40)
    table = np.where(random.random((6, 40)) < 0.5, truth, random.integers(0, 5, (6, 40))).astype(float)
    table[random.random(table.shape) < 0.5] = np.nan
    theirs = evalica.alpha(pd.DataFrame(table), distance=distance).alpha
    assert krippendorff_alpha(*columns(table), distance=distance, replicates=2).alpha == pytest.approx(
        theirs, abs=1e-12
    )


def test_neither_order_nor_numbering_matters() -> None:
    unit, value = columns(example())
    order = np.random.default_rng(0).permutation(len(unit))
    plain, other = krippendorff_alpha(unit, value), krippendorff_alpha(1000 * unit[order] + 3, value[order])
    assert other == plain


def test_the_interval_covers() -> None:
    """Alpha of ever more units is 0.36: two raters, each right with probability 0.6 and else at random among four."""
    random, held = np.random.default_rng(0), 0
    for run in range(150):
        truth = random.integers(0, 4, (1, 80))
        table = np.where(random.random((2, 80)) < 0.6, truth, random.integers(0, 4, (2, 80))).astype(float)
        found = krippendorff_alpha(*columns(table), replicates=200, seed=run)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.36 <= found.high
    assert 0.89 <= held / 150 <= 0.99  # 0.95 less or plus what 150 runs may show (standard error 0.018)


def test_preferences_do_not_depend_on_sides() -> None:
    votes = Votes(np.array([0, 2, 1, 1]), np.array([1, 0, 2, 0]), np.array([0, 0, 2, 3]))
    turned = replace(votes, left=votes.right, right=votes.left, outcome=np.array([1, 1, 2, 3]))
    assert preferences(votes).tolist() == preferences(turned).tolist() == [1, -1, 0, 0]


def test_where_there_is_nothing_to_agree_on() -> None:
    for unit, value in (([], []), ([0, 1], [1, 2]), ([0, 0, 1, 1], [3, 3, 3, 3])):
        found = krippendorff_alpha(np.array(unit, dtype=int), value)
        assert (found.alpha, found.low, found.high) == (None, None, None)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(MalformedVotes, match="one finite value per judgement"):
        krippendorff_alpha(np.array([0, 0]), [1.0, np.nan])
    distance: Any = "ratio"  # as from a form
    with pytest.raises(UnknownOption, match="nominal, ordinal, interval"):
        krippendorff_alpha(np.array([0, 0]), [1, 2], distance=distance)
