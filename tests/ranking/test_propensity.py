"""Inverse propensities give back the ratings of uniform sampling where no scale is true."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import (
    MalformedVotes,
    PropensityWeights,
    UnknownOption,
    Votes,
    draw_pair,
    pair_probabilities,
    propensity_weights,
    rank,
)
from raters.ranking.fit import Objective, maximise
from raters.ranking.likelihood import Cells, outcome_probabilities
from raters.ranking.ranking import ELO

# What the row's contestant has over the column's: a scale, but the last, weak against all others, beats the first two.
SCALE = np.array([2.5, 1.5, 0.5, -0.5, -1.5, -2.5])
NAMES = tuple("abcdef")
CIRCLES = np.zeros((6, 6))
CIRCLES[5, :2], CIRCLES[:2, 5] = (6.0, 5.0), (-6.0, -5.0)
GAPS = SCALE[:, None] - SCALE[None, :] + CIRCLES


def uniform_ratings() -> np.ndarray:
    """Strengths that ever more votes on uniformly drawn pairs tend to; mean 0."""
    left, right = (side.ravel() for side in np.indices((6, 6)))
    left, right = left[left != right], right[left != right]
    chances = outcome_probabilities(GAPS[left, right], 0.5)
    none = Votes(*np.zeros((3, 0), dtype=np.int64))
    cells = Cells(left, right, 1000 * chances, 6, np.zeros((0, len(left))), none)
    found = maximise(Objective(cells, ties=True, phantom=0.0)).parameters[:6]
    return np.asarray(found - found.mean())


def adaptive(seed: int, rounds: int, each: int) -> tuple[Votes, np.ndarray]:
    """Votes on pairs drawn by expected information under the fit of the rounds before, and their propensities."""
    random = np.random.default_rng(seed)
    votes, propensity = Votes(*np.zeros((3, 0), dtype=np.int64)), np.zeros(0)
    chances = pair_probabilities(votes.pair_counts(6))
    for _ in range(rounds):
        upper = np.triu(chances, 1).ravel()
        drawn = random.choice(36, each, p=upper / upper.sum())
        pairs = random.permuted(np.column_stack(np.divmod(drawn, 6)), axis=1)
        said = outcome_probabilities(GAPS[pairs[:, 0], pairs[:, 1]], 0.5)
        outcome = (random.random(each) > np.cumsum(said, axis=0)[:2]).sum(axis=0)
        votes = Votes(
            np.append(votes.left, pairs[:, 0]), np.append(votes.right, pairs[:, 1]), np.append(votes.outcome, outcome)
        )
        propensity = np.append(propensity, upper[drawn])
        latest = rank(votes, NAMES, position=False, cluster=())
        chances = pair_probabilities(
            votes.pair_counts(6), strengths=latest.strengths, covariance=latest.covariance, tie=latest.tie.value or 0.0
        )
    return votes, propensity


def test_uniform_ratings_come_back() -> None:
    """Averaged over five studies of 6,000 votes, within 8 Elo of them; unweighted more than 15 Elo away."""
    plain, weighted = [], []
    for seed in range(5):
        votes, propensity = adaptive(seed, rounds=20, each=300)
        weights = propensity_weights(propensity)
        plain.append(rank(votes, NAMES, position=False, cluster=()).strengths)
        weighted.append(rank(weights.weigh(votes), NAMES, position=False, cluster=()).strengths)
    truth = uniform_ratings()
    assert ELO * np.abs(np.mean(plain, axis=0) - truth).max() > 15
    assert ELO * np.abs(np.mean(weighted, axis=0) - truth).max() <= 8


def test_its_intervals_cover() -> None:
    """19 of 20 intervals; with 10 studies of 6 contestants at least 0.85 of them."""
    truth, held = uniform_ratings(), []
    for seed in range(100, 110):
        votes, propensity = adaptive(seed, rounds=6, each=300)
        weighted = propensity_weights(propensity).weigh(votes)
        ranking = rank(weighted, NAMES, position=False, cluster=(), scale="log")
        rows = {row.name: row for row in ranking.rows}
        for name, true in zip(NAMES, truth, strict=True):
            low, high = rows[name].low, rows[name].high
            held.append(low is not None and high is not None and low <= true <= high)
    assert np.mean(held) >= 0.85


def test_equal_propensities_change_nothing() -> None:
    weights = propensity_weights(np.full(40, 0.2))
    assert weights.weight == pytest.approx(1)
    assert weights.effective == pytest.approx(40)
    assert weights.clipped == 0


def test_stabilised_clipped_and_counted() -> None:
    """Nine votes drawn with 0.5 and one with 0.01: its weight of 100 to 2 each is cut at five times the mean, 59."""
    weights = propensity_weights(np.append(np.full(9, 0.5), 0.01), clip=5)
    assert weights.clipped == 1
    assert weights.weight[9] / weights.weight[0] == pytest.approx(59 / 2)
    assert weights.effective == pytest.approx((9 * 2 + 59) ** 2 / (9 * 4 + 59**2))
    assert weights.weight.sum() == pytest.approx(weights.effective)
    assert propensity_weights(np.append(np.full(9, 0.5), 0.01), clip=np.inf).clipped == 0


def test_weights_multiply() -> None:
    votes = Votes(np.array([0, 1]), np.array([1, 0]), np.array([0, 0]))
    weights = PropensityWeights(np.array([0.5, 1.0]), 1.5, 0)
    assert weights.weigh(replace(votes, weight=np.array([1.0, 0.2]))).weight == pytest.approx([0.5, 0.2])


def test_what_draw_pair_records_is_what_is_wanted() -> None:
    draw = draw_pair(pair_probabilities(np.zeros((3, 3), dtype=int)), np.random.default_rng(0))
    assert draw is not None
    assert propensity_weights([draw.propensity]).effective == pytest.approx(1)


@pytest.mark.parametrize("wrong", [[0.0], [1.2], [np.nan], [[0.5]]])
def test_what_is_wrong_is_said(wrong: list[float]) -> None:
    with pytest.raises(MalformedVotes, match="above 0 and at most 1"):
        propensity_weights(wrong)
    with pytest.raises(UnknownOption, match="from 1 up"):
        propensity_weights([0.5], clip=0.5)
