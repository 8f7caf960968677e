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
from raters.ranking.ranking import ELO
from tests.ranking.simulated import CIRCULAR, Look, adaptive_looks, uniform_ratings

NAMES = tuple("abcdef")


def adaptive(seed: int, rounds: int, each: int) -> Look:
    """The last look of a study."""
    *_, last = adaptive_looks(CIRCULAR, NAMES, rounds, each, seed)
    return last


def test_uniform_ratings_come_back() -> None:
    """Averaged over five studies of 6,000 votes, within 8 Elo of them; unweighted more than 15 Elo away."""
    plain, weighted = [], []
    for seed in range(5):
        look = adaptive(seed, rounds=20, each=300)
        weighed = propensity_weights(look.propensity).weigh(look.votes)
        plain.append(look.ranking.strengths)
        weighted.append(rank(weighed, NAMES, position=False, cluster=()).strengths)
    truth = uniform_ratings(CIRCULAR)
    assert ELO * np.abs(np.mean(plain, axis=0) - truth).max() > 15
    assert ELO * np.abs(np.mean(weighted, axis=0) - truth).max() <= 8


def test_its_intervals_cover() -> None:
    """19 of 20 intervals; with 10 studies of 6 contestants at least 0.85 of them."""
    truth, held = uniform_ratings(CIRCULAR), []
    for seed in range(100, 110):
        look = adaptive(seed, rounds=6, each=300)
        weighted = propensity_weights(look.propensity).weigh(look.votes)
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
