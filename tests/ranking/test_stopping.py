"""Verdicts that hold however often one looks."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import (
    ConfidenceSequence,
    Ranking,
    UnknownOption,
    Votes,
    find_separations,
    rank,
)
from tests.ranking.simulated import TWINS, World, adaptive_looks

NAMES = tuple("abcdefghij")


def looks(seed: int, until: int) -> list[Ranking]:
    """A ranking after every 50 votes, the pairs drawn by expected information under the ranking before."""
    return [look.ranking for look in adaptive_looks(np.subtract.outer(TWINS, TWINS), NAMES, until // 50, 50, seed)]


def strength(name: str) -> float:
    return float(TWINS[NAMES.index(name)])


def test_looking_every_50_votes_gives_no_false_verdicts() -> None:
    """At most 5 % of studies have a false verdict at any look (of 20: at most 1); by plain intervals most have."""
    false, naively_false = 0, 0
    for seed in range(20):
        rankings = looks(seed, until=1000)
        pairs = [(ranking, pair) for ranking in rankings for pair in find_separations(ranking)]
        false += any(pair.verdict == "separated" and strength(pair.upper) <= strength(pair.lower) for _, pair in pairs)
        naively_false += any(
            (plain := ranking.difference(pair.upper, pair.lower)) is not None
            and plain.low > 0
            and strength(pair.upper) <= strength(pair.lower)
            for ranking, pair in pairs
        )
    assert false <= 1
    assert naively_false >= 10


@pytest.mark.parametrize("one_sided", [False, True])
def test_the_boundary_is_crossed_by_at_most_its_error(one_sided: bool) -> None:
    """4,000 fair games, looked at every 50 of 5,000 votes; the plain interval is crossed several times as often."""
    random = np.random.default_rng(1)
    votes = np.arange(50, 5001, 50)
    means = (2 * random.binomial(50, 0.5, (4000, 100)) - 50.0).cumsum(axis=1) / votes
    sequence = ConfidenceSequence.tightest(0.1, 0.05, one_sided=one_sided)
    radius = np.array([sequence.radius(float(se)) for se in votes**-0.5])
    outside = means if one_sided else np.abs(means)
    assert 0.005 < (outside > radius).any(axis=1).mean() <= 0.05
    assert (outside > (1.645 if one_sided else 1.960) * votes**-0.5).any(axis=1).mean() > 0.25


def test_the_radius_by_hand() -> None:
    """Robbins's mixture, SE √((1 + ρ/I) ln((I + ρ) / (ρ α²))), at I = 100, ρ = 10, α = 0.05."""
    expected = 0.1 * np.sqrt(1.1 * np.log(110 / (10 * 0.0025)))
    assert ConfidenceSequence(0.05, 10.0).radius(0.1) == pytest.approx(expected, rel=1e-12)


def test_few_clusters_widen_it() -> None:
    sequence = ConfidenceSequence.tightest(0.1, 0.05)
    assert sequence.radius(0.1, 5) > 1.5 * sequence.radius(0.1)
    assert sequence.radius(0.1, 1e6) == pytest.approx(sequence.radius(0.1), rel=1e-3)


@pytest.mark.parametrize("one_sided", [False, True])
def test_it_is_tightest_where_planned(one_sided: bool) -> None:
    best = ConfidenceSequence.tightest(0.1, 0.05, one_sided=one_sided)
    for factor in (0.5, 2.0):
        assert replace(best, mixture=factor * best.mixture).radius(0.1) > 0.999 * best.radius(0.1)
    assert replace(best, mixture=30 * best.mixture).radius(0.1) > 1.2 * best.radius(0.1)


def test_the_votes_needed_do_it() -> None:
    sequence = ConfidenceSequence.tightest(0.1, 0.05)
    needed = sequence.votes_needed(0.2, 0.3, per_vote=0.2)
    assert needed is not None
    after, before = (sequence.radius((0.3**-2 + votes * 0.2) ** -0.5) for votes in (needed, needed - 1))
    assert after <= 0.2 < before
    assert sequence.votes_needed(5.0, 0.3, per_vote=0.2) == 0
    assert sequence.votes_needed(0.0, 0.3, per_vote=0.2) is None


def test_so_many_votes_more_separate_two() -> None:
    """Given in the proportions so far, the votes asked for bring the verdict; a tenth fewer do not."""

    def ranking(votes: int) -> Ranking:
        outcome = np.resize(np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [9, 7, 4])), votes)
        return rank(Votes(np.zeros_like(outcome), np.ones_like(outcome), outcome), ("a", "b"), cluster=())

    (pair,) = find_separations(ranking(200))
    assert (pair.upper, pair.verdict) == ("a", "open")
    assert pair.votes_needed is not None
    for factor, verdict in ((0.9, "open"), (1.1, "separated")):
        (again,) = find_separations(ranking(200 + round(factor * pair.votes_needed)))
        assert again.verdict == verdict


def test_in_words() -> None:
    world = World((-2.0, 2.0, 2.0), raters=100, rater_spread=0.0, prompt_spread=0.0)
    best, last = find_separations(rank(world.votes(np.random.default_rng(0), each=10), world.names))
    assert last.sentence() == f"{last.upper} is above m0: separated."
    assert last.votes_needed == 0
    assert best.sentence().startswith(f"{best.upper} and {best.lower} are not separated yet: about ")
    assert best.sentence().endswith("votes more between the two.")


def test_without_a_ranking_there_is_no_pair() -> None:
    assert find_separations(rank(Votes(*np.zeros((3, 0), dtype=np.int64)), NAMES)) == ()


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(UnknownOption, match="above 0 Elo"):
        find_separations(looks(0, until=50)[0], planned_se=0)
