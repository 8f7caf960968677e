"""Which pair comes next."""

import numpy as np
import pytest

from raters.ranking import MalformedVotes, UnknownOption, draw_pair, pair_probabilities, rank
from raters.ranking.pairing import expected_information
from tests.ranking.simulated import World


def square(k: int, *pairs: tuple[int, int, int]) -> np.ndarray:
    counts = np.zeros((k, k), dtype=int)
    for a, b, times in pairs:
        counts[a, b] = counts[b, a] = times
    return counts


def full(k: int, times: int) -> np.ndarray:
    return times * (1 - np.eye(k, dtype=int))


@pytest.mark.parametrize(("mean", "variance", "nats"), [(0, 1, 0.093709), (1, 1, 0.081427), (2, 0.25, 0.013452)])
def test_expected_information(mean: float, variance: float, nats: float) -> None:
    found = expected_information(np.array(float(mean)), np.array(float(variance)))
    assert found == pytest.approx(nats, abs=2e-6)


def test_expected_information_with_ties_by_brute_force() -> None:
    gaps = np.random.default_rng(0).normal(0.7, 1.2, 400_000)
    weights = np.stack([np.exp(gaps / 2), np.exp(-gaps / 2), np.full_like(gaps, 0.8)])
    chances = weights / weights.sum(axis=0)
    mean = chances.mean(axis=1)
    brute = -(mean * np.log(mean)).sum() + (chances * np.log(chances)).sum(axis=0).mean()
    assert expected_information(np.array(0.7), np.array(1.44), tie=0.8) == pytest.approx(brute, abs=1e-3)


def test_without_votes_all_pairs_are_alike() -> None:
    chances = pair_probabilities(square(4))
    assert chances[np.triu_indices(4, 1)] == pytest.approx([1 / 6] * 6)


def test_without_a_fit_the_least_compared_come_first() -> None:
    counts = full(4, 50)
    counts[0, 1] = counts[1, 0] = 40
    chances = pair_probabilities(counts)
    assert chances[0, 1] == pytest.approx(0.9 + 0.1 / 6)
    assert chances[2, 3] == pytest.approx(0.1 / 6)


def test_groups_are_linked_first() -> None:
    chances = pair_probabilities(square(4, (0, 1, 90), (2, 3, 90)))
    assert chances[0, 1] == chances[2, 3] == pytest.approx(0.1 / 6)
    for a, b in ((0, 2), (0, 3), (1, 2), (1, 3)):
        assert chances[a, b] == pytest.approx(0.9 / 4 + 0.1 / 6)


def test_newcomers_weigh_five_times_as_much() -> None:
    """Five alike in all but their number of comparisons: pairs with the newcomer get five times the informed share."""
    counts = full(5, 100)
    counts[4, :4] = counts[:4, 4] = 7
    chances = pair_probabilities(counts, strengths=np.zeros(5), covariance=np.eye(5))
    share = 0.9 / (6 + 4 * 5)
    assert chances[0, 1] == pytest.approx(share + 0.01)
    assert chances[0, 4] == pytest.approx(5 * share + 0.01)


def test_close_and_uncertain_pairs_are_preferred() -> None:
    covariance = np.diag([0.01, 0.01, 0.01, 0.5])
    chances = pair_probabilities(full(4, 100), strengths=np.array([0.0, 0.1, 3.0, 0.1]), covariance=covariance)
    assert chances[0, 1] > chances[0, 2]
    assert chances[0, 3] > chances[0, 1]


def test_the_unrated_count_as_very_uncertain() -> None:
    covariance = np.full((3, 3), np.nan)
    covariance[:2, :2] = np.eye(2) * 0.01
    chances = pair_probabilities(full(3, 100), strengths=np.array([0.2, -0.2, np.nan]), covariance=covariance)
    assert min(chances[0, 2], chances[1, 2]) > chances[0, 1]


def test_a_ranking_feeds_it() -> None:
    world = World((-0.5, 0.0, 0.5), raters=10)
    votes = world.votes(np.random.default_rng(0), each=20)
    ranking = rank(votes, world.names)
    chances = pair_probabilities(
        votes.pair_counts(3), strengths=ranking.strengths, covariance=ranking.covariance, tie=ranking.tie.value or 0
    )
    assert np.triu(chances).sum() == pytest.approx(1)


def test_draws_follow_the_probabilities_and_say_so() -> None:
    chances = pair_probabilities(square(3, (0, 1, 9), (1, 2, 2), (0, 2, 2)))
    random = np.random.default_rng(0)
    draws = [draw_pair(chances, random) for _ in range(4000)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        matching = [draw for draw in draws if draw is not None and (draw.first, draw.second) == (a, b)]
        assert len(matching) / 4000 == pytest.approx(chances[a, b], abs=0.03)
        assert [draw.propensity for draw in matching] == pytest.approx([chances[a, b]] * len(matching))


def test_a_draw_keeps_to_what_is_allowed() -> None:
    chances = pair_probabilities(square(3))
    allowed = np.zeros((3, 3), dtype=bool)
    allowed[0, 2] = allowed[2, 0] = True
    draw = draw_pair(chances, np.random.default_rng(0), allowed)
    assert draw is not None
    assert (draw.first, draw.second, draw.propensity) == (0, 2, 1.0)
    assert draw_pair(chances, np.random.default_rng(0), np.zeros((3, 3), dtype=bool)) is None


@pytest.mark.parametrize("counts", [np.zeros((1, 1)), np.zeros((2, 3)), np.array([[0, 1], [2, 0]])])
def test_counts_must_be_a_symmetric_square(counts: np.ndarray) -> None:
    with pytest.raises(MalformedVotes, match="symmetric square"):
        pair_probabilities(counts)


def test_a_tenth_at_least_is_uniform() -> None:
    with pytest.raises(UnknownOption, match=r"0\.1 to 1"):
        pair_probabilities(square(3), uniform=0.05)
