"""Numbers at the edge of what floating point holds: many votes, wide fields, weights and covariates of any size."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import MalformedVotes, UnknownContestant, Votes, find_trust, rank
from raters.ranking.bootstrap import bootstrap
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.ranking import ELO
from tests.ranking.simulated import World


def duel(left: int, right: int, ties: int = 0) -> Votes:
    """So many votes between two, who never change sides."""
    outcome = np.repeat([0, 1, 2], [left, right, ties])
    return Votes(np.zeros_like(outcome), np.ones_like(outcome), outcome)


def test_ten_million_votes_on_one_pair() -> None:
    a, b = rank(duel(6_000_000, 4_000_000), "ab", position=False, cluster=(), phantom=0).rows
    assert a.rating is not None
    assert b.rating is not None
    assert a.rating - b.rating == pytest.approx(ELO * np.log(1.5), abs=1e-6)
    assert a.se == pytest.approx(ELO / 2 * (1e7 * 0.24) ** -0.5, rel=1e-6)


@pytest.mark.parametrize("phantom", [0.0, 0.5])
def test_one_loss_among_ten_million(phantom: float) -> None:
    a, b = rank(duel(10_000_000, 1), "ab", position=False, cluster=(), phantom=phantom).rows
    assert a.rating is not None
    assert b.rating is not None
    assert a.rating - b.rating == pytest.approx(ELO * np.log(1e7), rel=0.1 if phantom else 1e-9)
    assert a.se is not None
    assert a.se > 50


def test_a_ladder_of_sixty_each_ten_thousand_to_one_against_the_next() -> None:
    """Strengths of 543 natural-log units: e to that is a float still, its square is not."""
    lower = np.repeat(np.arange(59), 10_001)
    outcome = np.tile(np.append(np.zeros(10_000, dtype=int), 1), 59)
    ranking = rank(Votes(lower, lower + 1, outcome), [f"c{i:02}" for i in range(60)], position=False, phantom=0)
    assert np.diff(ranking.strengths) == pytest.approx(-np.log(10_000), rel=1e-9)
    assert np.isfinite(ranking.covariance).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e308])
def test_the_unit_of_a_covariate_does_not_matter(scale: float) -> None:
    world = World((-0.5, 0.5))
    votes = world.votes(np.random.default_rng(0), each=10)
    pixels = np.random.default_rng(1).uniform(-1, 1, len(votes))
    effects = [
        rank(replace(votes, covariates={"pixels": unit * pixels}), world.names).covariates["pixels"]
        for unit in (1.0, scale)
    ]
    assert (effects[1].value, effects[1].se) == pytest.approx((effects[0].value, effects[0].se), rel=1e-9)


def test_weights_of_next_to_nothing_leave_next_to_nothing_known() -> None:
    votes = duel(30, 20, 5)
    for row in rank(replace(votes, weight=np.full(55, 1e-300)), "ab").rows:
        assert row.rating == pytest.approx(1500)
        assert row.interval == "laplace"
        assert row.se is not None
        assert row.se > 200


def test_a_weight_has_an_upper_limit() -> None:
    votes = duel(30, 20, 5)
    heavy = rank(replace(votes, weight=np.full(55, 1e9)), "ab", position=False, phantom=0)
    plain = rank(votes, "ab", position=False, phantom=0)
    assert [row.rating for row in heavy.rows] == pytest.approx([row.rating for row in plain.rows])
    with pytest.raises(MalformedVotes, match="at most 1,000,000,000, got 2e"):
        replace(votes, weight=np.full(55, 2e9))


def test_sparse_fields_are_counted_as_dense_ones() -> None:
    """Of 360 contestants most pairs never meet, and only those that did are laid out."""
    random, k, n = np.random.default_rng(2), 360, 5_000
    left = random.integers(0, k, n)
    right = (left + random.integers(1, k, n)) % k
    strengths = random.normal(0, 1, k)
    chances = outcome_probabilities(strengths[left] - strengths[right], 0.5)
    outcome = (random.random(n) > np.cumsum(chances, axis=0)[:2]).sum(axis=0)
    votes, names = Votes(left, right, outcome, random.integers(0, 50, n)), [f"c{i:03}" for i in range(k)]
    ranking = rank(votes, names, cluster=("rater",))
    twice = rank(votes.only(np.tile(np.arange(n), 50)), names, cluster=())
    assert np.corrcoef(ranking.strengths, strengths)[0, 1] > 0.85
    assert twice.votes == 50 * n  # enough votes that every pair is laid out
    again = rank(replace(votes, weight=np.full(n, 50.0)), names, cluster=())
    assert again.strengths == pytest.approx(twice.strengths, abs=1e-6)


def test_codes_beyond_the_names_are_refused_everywhere() -> None:
    votes = Votes(np.array([2**62]), np.array([1]), np.array([0]), np.array([0]))
    for use in (
        lambda: rank(votes, "ab"),
        lambda: find_trust(votes, "ab"),
        lambda: bootstrap(votes, "ab"),
        lambda: votes.pair_counts(2),
    ):
        with pytest.raises(UnknownContestant, match="below the number of names, 2, got 4611686018427387904"):
            use()
