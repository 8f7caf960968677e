"""Metrics against people: the coefficients against scipy, the intervals against votes that are really repeated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raters.ranking import MalformedVotes, UnknownOption, Votes, rank
from raters.ranking.concordance import (
    draw_prompts,
    find_concordance,
    kendall_tau_b,
    redrawn_means,
    redrawn_strengths,
    spearman,
    vote_accuracy,
)
from raters.ranking.votes import Floats

NAMES = ["a", "b", "c", "d", "e"]
PROMPTS = 12


def some_votes(seed: int = 0, count: int = 600) -> Votes:
    """Of five contestants a logit apart; on even prompts the order is as written, on odd ones noisier."""
    random = np.random.default_rng(seed)
    left = random.integers(0, 5, count)
    right = (left + random.integers(1, 5, count)) % 5
    prompt = random.integers(0, PROMPTS, count)
    felt = (right - left) / (1 + prompt % 2) + random.logistic(size=count)
    return Votes(left, right, np.where(np.abs(felt) < 0.3, 2, np.where(felt > 0, 0, 1)), left * 0, prompt)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=30))
def test_the_coefficients_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=np.float64).T
    constant = len(set(first)) == 1 or len(set(second)) == 1
    if constant:
        assert kendall_tau_b(first, second) is None
        assert spearman(first, second) is None
        return
    assert kendall_tau_b(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-12)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


def test_a_prompt_drawn_twice_counts_as_two_prompts_with_the_same_votes() -> None:
    votes = some_votes()
    assert votes.prompt is not None
    draws = draw_prompts(PROMPTS, 3)
    found = redrawn_strengths(votes, NAMES, draws)
    for row, drawn in zip(found, draws, strict=True):
        repeated = votes.only(np.repeat(np.arange(len(votes)), drawn[votes.prompt]))
        again = rank(repeated, NAMES).strengths
        assert row - row.mean() == pytest.approx(again - again.mean(), abs=1e-6)


def test_means_under_a_draw_are_those_of_the_samples_drawn() -> None:
    random = np.random.default_rng(1)
    counts = random.integers(0, 3, (PROMPTS, 4))
    counts[:, 3] = 0
    sums = np.where(counts > 0, random.normal(size=counts.shape), 0.0) * counts.astype(np.float64)
    draws = draw_prompts(PROMPTS, 5)
    found = redrawn_means(sums, counts, draws)
    for row, drawn in zip(found, draws, strict=True):
        for contestant in range(3):
            weight = drawn * counts[:, contestant]
            drawn_once = weight > 0
            each = sums[drawn_once, contestant] / counts[drawn_once, contestant]
            assert row[contestant] == pytest.approx(np.average(each, weights=weight[drawn_once]))
    assert np.isnan(found[:, 3]).all()


def concordance_with(values: list[float], *, replicates: int = 60) -> tuple[float | None, float | None, float | None]:
    votes = some_votes()
    draws = draw_prompts(PROMPTS, replicates)
    tau = find_concordance(rank(votes, NAMES).strengths, np.array(values), redrawn_strengths(votes, NAMES, draws)).tau
    return tau.value, tau.low, tau.high


def test_a_metric_in_the_raters_order_agrees_and_its_opposite_disagrees() -> None:
    value, low, high = concordance_with([5, 4, 3, 2, 1])
    assert value == 1
    assert low is not None
    assert high == 1
    assert low > 0.5
    assert concordance_with([1, 2, 3, 4, 5])[0] == -1


def test_what_cannot_be_told_is_none() -> None:
    assert concordance_with([1, 1, 1, 1, 1]) == (None, None, None)
    assert concordance_with([1, 2, np.nan, np.nan, np.nan]) == (None, None, None)


def test_contestants_without_a_value_are_left_out() -> None:
    value, _, _ = concordance_with([5, 4, np.nan, 2, 1])
    assert value == 1


def test_a_value_that_varies_with_the_prompts_widens_the_interval() -> None:
    votes, draws = some_votes(), draw_prompts(PROMPTS, 60)
    random = np.random.default_rng(3)
    sums = random.normal(size=(PROMPTS, 5)) * 3 + np.arange(5, 0, -1)
    counts = np.ones((PROMPTS, 5), dtype=np.int64)
    strengths, again = rank(votes, NAMES).strengths, redrawn_strengths(votes, NAMES, draws)
    fixed = find_concordance(strengths, sums.mean(axis=0), again).tau
    varied = find_concordance(strengths, sums.mean(axis=0), again, redrawn_means(sums, counts, draws)).tau
    widths = [bounds.high - bounds.low for bounds in (fixed, varied) if bounds.low is not None and bounds.high]
    assert widths[1] > widths[0]
    assert fixed.value == varied.value


def accuracy_of(outcome: list[int], left: Floats, right: Floats) -> tuple[float | None, int]:
    count = len(outcome)
    votes = Votes(np.zeros(count, int), np.ones(count, int), np.array(outcome), prompt=np.arange(count))
    found = vote_accuracy(votes, left, right, draw_prompts(count, 20))
    return found.share.value, found.votes


def test_accuracy_counts_decisions_and_halves_equal_values() -> None:
    left, right = np.array([2.0, 2, 1, 2, np.nan, 9]), np.array([1.0, 1, 1, 1, 0, 1])
    # right for it, wrong, equal, a tie that nobody asked it about, no value, both bad
    assert accuracy_of([0, 1, 0, 2, 0, 3], left, right) == (0.5, 3)
    assert accuracy_of([2, 3], left[:2], right[:2]) == (None, 0)


def test_the_interval_of_the_accuracy_is_that_of_prompts_drawn_again() -> None:
    votes, draws = some_votes(), draw_prompts(PROMPTS, 400)
    assert votes.prompt is not None
    values = np.arange(5, 0, -1.0)
    found = vote_accuracy(votes, values[votes.left], values[votes.right], draws).share
    decided = votes.outcome < 2
    hit = np.where(votes.outcome == 0, votes.left < votes.right, votes.right < votes.left)
    by_hand = []
    for drawn in draws:
        rows = np.repeat(np.flatnonzero(decided), drawn[votes.prompt][decided])
        by_hand.append(hit[rows].mean())
    assert found.value == pytest.approx(hit[decided].mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_wrong_input_gets_a_sentence() -> None:
    votes = some_votes()
    with pytest.raises(UnknownOption, match="at least 1 prompt"):
        draw_prompts(0, 10)
    with pytest.raises(MalformedVotes, match="every vote's prompt"):
        redrawn_strengths(votes, NAMES, draw_prompts(PROMPTS - 1, 2))
    with pytest.raises(MalformedVotes, match="two values per vote"):
        vote_accuracy(votes, np.zeros(3), np.zeros(3), draw_prompts(PROMPTS, 2))
