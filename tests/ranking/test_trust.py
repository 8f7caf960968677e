"""Raters who do not look are found, and their votes weighed down."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import Controls, MalformedVotes, Share, UnknownOutcome, Votes, find_trust, rank, swapped
from raters.ranking.ranking import ELO
from tests.ranking.simulated import HABITS, World, look_for_careless, with_careless

WORLD = World(tuple(np.linspace(-1.6, 1.6, 10)), raters=400, prompts=60, rater_spread=0.0, prompt_spread=0.0)
CARELESS = np.arange(WORLD.raters) < 60


def careless_votes(seed: int, habits: np.ndarray = HABITS) -> Votes:
    return with_careless(WORLD, 0.15, habits, each=40, seed=seed)[0]


@pytest.mark.parametrize("habits", [HABITS[:1], HABITS], ids=["random", "random, left or tie"])
def test_the_careless_are_found_and_weighed_down(habits: np.ndarray) -> None:
    """Their lapses stand out (AUC at least 0.95) and the ratings err at most 15 % more than without them."""
    found = [look_for_careless(WORLD, 0.15, habits, each=40, seed=seed) for seed in range(6)]
    naive, weighed, oracle = np.mean([(one.naive, one.weighed, one.oracle) for one in found], axis=0)
    assert min(one.area for one in found) >= 0.95
    assert naive > 2 * oracle
    assert weighed <= 1.15 * oracle


def test_attentive_raters_keep_their_weight() -> None:
    votes = WORLD.votes(np.random.default_rng(3), each=40)
    trust = find_trust(votes, WORLD.names)
    assert trust.weight.mean() > 0.93
    assert rank(trust.weigh(votes), WORLD.names).strengths == pytest.approx(rank(votes, WORLD.names).strengths, abs=0.1)


def test_side_bias_is_each_raters_own() -> None:
    """Of 40 raters with an advantage of the left of 0 or 1.2, the intervals cover what each has."""
    world = replace(WORLD, raters=40, position=0.0)
    random = np.random.default_rng(5)
    plain, leaning = world.votes(random, each=150), replace(world, position=1.2).votes(random, each=150)
    leans = np.arange(40) % 2 == 1
    chosen = [leaning.only(leans[leaning.rater]), plain.only(~leans[plain.rater])]
    left, right, outcome, rater = (
        np.concatenate([getattr(part, name) for part in chosen]) for name in ("left", "right", "outcome", "rater")
    )
    trust = find_trust(Votes(left, right, outcome, rater), world.names)
    covered = [
        row.side_low <= 1.2 * ELO * leans[row.rater] <= row.side_high
        for row in trust.raters
        if row.side_low is not None and row.side_high is not None
    ]
    assert len(covered) == 40
    assert sum(covered) >= 34  # 38 expected; fewer than 34 has probability 0.014


def test_always_left() -> None:
    votes = WORLD.votes(np.random.default_rng(1), each=40)
    always = replace(votes, outcome=np.where(votes.rater == 0, 0, votes.outcome))
    rater = find_trust(always, WORLD.names).raters[0]
    assert (rater.left_rate, rater.tie_rate, rater.votes) == (1, 0, 40)
    assert rater.side_low is not None
    assert rater.side_low > 200
    assert rater.lapse is not None
    assert rater.lapse > 0.9


def test_agreement_is_as_expected_of_the_attentive() -> None:
    raters = find_trust(careless_votes(0, HABITS[:1]), WORLD.names).raters
    table = np.array([(rater.agreement, rater.expected_agreement) for rater in raters], dtype=float)
    assert table[~CARELESS].mean(axis=0)[0] == pytest.approx(table[~CARELESS].mean(axis=0)[1], abs=0.015)
    assert table[CARELESS].mean(axis=0)[0] == pytest.approx(0.5, abs=0.03)


def test_neither_order_nor_names_nor_sides_matter() -> None:
    votes = careless_votes(2)
    assert votes.rater is not None
    plain = find_trust(votes, WORLD.names)
    order = np.random.default_rng(0).permutation(len(votes))
    shuffled = find_trust(votes.only(order), WORLD.names)
    assert shuffled.weight == pytest.approx(plain.weight[order], abs=1e-6)
    renamed = replace(votes, left=9 - votes.left, right=9 - votes.right, rater=1000 - votes.rater)
    assert find_trust(renamed, WORLD.names[::-1]).weight == pytest.approx(plain.weight, abs=1e-6)
    turned = replace(votes, left=votes.right, right=votes.left, outcome=swapped(votes.outcome))
    mirrored = find_trust(turned, WORLD.names)
    assert mirrored.weight == pytest.approx(plain.weight, abs=1e-6)
    biases = [np.array([rater.side_bias for rater in trust.raters], dtype=float) for trust in (plain, mirrored)]
    assert biases[0] == pytest.approx(-biases[1], abs=1e-3)


def test_an_excluded_rater_is_still_judged() -> None:
    votes = careless_votes(0)
    assert votes.rater is not None
    without = replace(votes, weight=np.where(votes.rater == 1, 0.0, 1.0))
    trust = find_trust(without, WORLD.names)
    assert trust.raters[1].lapse is not None
    assert trust.raters[1].lapse > 0.9
    weighed = trust.weigh(without).weight
    assert weighed is not None
    assert (weighed[votes.rater == 1] == 0).all()


def test_only_ties_tell_nothing_of_raters() -> None:
    trust = find_trust(Votes(np.array([0, 1]), np.array([1, 0]), np.array([2, 3]), np.array([7, 9])), ("a", "b"))
    assert [(rater.rater, rater.lapse, rater.tie_rate) for rater in trust.raters] == [(7, None, 1), (9, None, 1)]
    assert trust.weight.tolist() == [1, 1]
    assert "no fit" in trust.warnings[0]


def test_controls() -> None:
    gold = Controls(np.array([4, 4, 4, 2]), np.array([0, 1, 3, 1]), np.array([0, 0, 2, 1]))
    first = np.array([0, 1, 2, 3])
    repeats = Controls(np.array([2, 2, 2, 2]), np.array([1, 1, 2, 3]), swapped(first))
    votes = Votes(np.array([0, 1]), np.array([1, 0]), np.array([0, 0]), np.array([4, 5]))
    two, four, five = find_trust(votes, ("a", "b"), gold=gold, repeats=repeats).raters
    assert (two.rater, two.votes, two.lapse, two.agreement) == (2, 0, None, None)
    assert two.repeats is not None
    assert (two.repeats.hits, two.repeats.total) == (3, 4)
    assert four.gold is not None
    assert four.gold.value == pytest.approx(2 / 3)  # both bad for an expected tie is no mistake
    assert (five.gold, five.repeats) == (None, None)


def test_wilson() -> None:
    """Newcombe 1998: 81 of 263 and 0 of 20."""
    some, none = Share.of(81, 263), Share.of(0, 20)
    assert some is not None
    assert none is not None
    assert (some.low, some.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (none.low, none.high) == pytest.approx((0, 0.1611), abs=5e-5)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(MalformedVotes, match="rater of every vote"):
        find_trust(Votes(np.array([0]), np.array([1]), np.array([0])), ("a", "b"))
    with pytest.raises(MalformedVotes, match="one integer code per control"):
        Controls(np.array([1]), np.array([1, 2]), np.array([1]))
    with pytest.raises(UnknownOutcome, match="from 0 to 3, got 4 to 4"):
        Controls(np.array([1]), np.array([4]), np.array([1]))
