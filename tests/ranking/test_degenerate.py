"""Votes that break a naive fit: every answer is a sensible number or none, with a sentence saying why."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from raters.ranking import (
    MalformedVotes,
    Ranking,
    Row,
    UnknownContestant,
    UnknownOption,
    UnknownOutcome,
    Votes,
    rank,
)
from raters.ranking.fit import Model

A, B, C, D = range(4)
LEFT, RIGHT, TIE, BOTH_BAD = range(4)


def votes(*groups: tuple[int, int, int, int]) -> Votes:
    """From (times, left, right, outcome)."""
    columns = [np.repeat([g[i] for g in groups], [g[0] for g in groups]) for i in (1, 2, 3)]
    return Votes(*columns)


def rows(ranking: Ranking) -> dict[str, Row]:
    return {row.name: row for row in ranking.rows}


def said(ranking: Ranking, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in ranking.warnings)


# Forty-five comparisons each way between A and B, which they share evenly.
EVEN = ((20, A, B, LEFT), (20, B, A, LEFT), (15, A, B, RIGHT), (15, B, A, RIGHT), (10, A, B, TIE), (10, B, A, TIE))
MODELS = pytest.mark.parametrize("model", ["davidson", "bradley-terry"])


@MODELS
def test_an_unbeaten_newcomer_is_provisional_and_uncertain(model: Model) -> None:
    ranking = rank(votes(*EVEN, (3, C, A, LEFT), (2, B, C, RIGHT)), "ABC", model=model)
    newcomer = rows(ranking)["C"]
    assert newcomer.rating is not None
    assert newcomer.se is not None
    assert 1600 < newcomer.rating < 2100
    assert newcomer.se > 150
    assert (newcomer.interval, newcomer.ranked) == ("laplace", False)
    assert said(ranking, "C has only wins")
    assert (rows(ranking)["A"].rank_low, rows(ranking)["A"].rank_high) == (1, 2)


@MODELS
def test_a_winless_newcomer_is_provisional_and_uncertain(model: Model) -> None:
    newcomer = rows(ranking := rank(votes(*EVEN, (5, A, C, LEFT)), "ABC", model=model))["C"]
    assert newcomer.rating is not None
    assert newcomer.se is not None
    assert 900 < newcomer.rating < 1400
    assert newcomer.se > 150
    assert not newcomer.ranked
    assert said(ranking, "C has only losses")


@MODELS
def test_without_phantom_votes_the_unbeaten_has_no_rating(model: Model) -> None:
    ranking = rank(votes(*EVEN, (5, C, A, LEFT)), "ABC", model=model, phantom=0)
    assert rows(ranking)["C"].rating is None
    assert rows(ranking)["A"].rating == pytest.approx(1500)
    assert said(ranking, "C has no finite rating")


@MODELS
def test_an_unbeaten_newcomer_hardly_moves_the_others(model: Model) -> None:
    before, after = (rows(rank(votes(*EVEN, *extra), "ABC", model=model)) for extra in ((), ((50, C, A, LEFT),)))
    for name in "AB":
        assert before[name].rating == pytest.approx(after[name].rating, abs=10)


@MODELS
def test_disconnected_groups_are_not_compared(model: Model) -> None:
    ranking = rank(votes(*EVEN, (3, C, D, LEFT), (3, D, C, LEFT)), "ABCD", model=model)
    found = rows(ranking)
    assert found["A"].ranked
    assert found["B"].ranked
    assert (found["C"].rating, found["D"].rating) == (None, None)
    assert said(ranking, "C and D", "across the groups")
    assert ranking.difference("A", "C") is None
    assert ranking.difference("A", "B") is not None


@MODELS
def test_groups_linked_one_way_only_share_no_ranks(model: Model) -> None:
    ranking = rank(votes(*EVEN, (3, C, D, LEFT), (3, D, C, LEFT), (1, A, C, LEFT)), "ABCD", model=model)
    found = rows(ranking)
    assert [name for name in "ABCD" if found[name].ranked] == ["A", "B"]
    assert found["C"].se is not None
    assert found["C"].se > 200
    assert said(ranking, "C and D", "not both")


@MODELS
@pytest.mark.parametrize("phantom", [0, 0.5])
def test_no_votes(model: Model, phantom: float) -> None:
    ranking = rank(votes(), "AB", model=model, phantom=phantom)
    assert [row.rating for row in ranking.rows] == [None, None]
    assert said(ranking, "no votes yet")
    assert ranking.votes == 0


def test_no_contestants() -> None:
    assert rank(votes(), ()).rows == ()


@MODELS
def test_one_vote(model: Model) -> None:
    ranking = rank(votes((1, A, B, LEFT)), "AB", model=model)
    first, second = ranking.rows
    assert (first.name, second.name) == ("A", "B")
    assert first.rating is not None
    assert first.low is not None
    assert 1500 < first.rating < 1700
    assert first.low < 1500
    assert not first.ranked


@MODELS
def test_all_ties(model: Model) -> None:
    ranking = rank(votes((40, A, B, TIE), (40, B, A, BOTH_BAD)), "AB", model=model)
    for row in ranking.rows:
        assert row.rating == pytest.approx(1500)
        assert row.se is not None
        assert row.se > 15
        assert (row.rank_low, row.rank_high) == (1, 2)
        assert (row.ties, row.both_bad, row.floor_rate) == (40, 40, 0.5)
    assert said(ranking, "Every vote is a tie")


def test_all_ties_have_no_davidson_fit_without_phantom_votes() -> None:
    assert [row.rating for row in rank(votes((40, A, B, TIE)), "AB", phantom=0).rows] == [None, None]


def test_without_ties_davidson_is_bradley_terry() -> None:
    decided = votes(*(group for group in EVEN if group[3] < TIE), (9, A, B, LEFT))
    davidson, plain = (rank(decided, "AB", model=model) for model in ("davidson", "bradley-terry"))
    assert davidson.rows == plain.rows
    assert davidson.tie.value == 0


@MODELS
@pytest.mark.parametrize("phantom", [0, 0.5])
def test_always_left(model: Model, phantom: float) -> None:
    ranking = rank(votes((40, A, B, LEFT), (40, B, A, LEFT)), "AB", model=model, phantom=phantom)
    for row in ranking.rows:
        assert row.rating == pytest.approx(1500)
        assert row.se is not None
        assert row.se > 10
        assert (row.rank_low, row.rank_high) == (1, 2)
    assert ranking.position.value is None
    assert said(ranking, "All 80 decisions went to the left side")


@MODELS
def test_winners_listed_on_the_left_are_still_ranked(model: Model) -> None:
    """A file that names the winner first has no position effect to tell."""
    ranking = rank(votes((60, A, B, LEFT), (20, B, A, LEFT)), "AB", model=model)
    assert rows(ranking)["A"].rating == pytest.approx(1500 + 190.85 / 2, abs=3)
    assert said(ranking, "All 80 decisions")


@MODELS
@pytest.mark.parametrize("phantom", [0, 0.5])
def test_a_position_that_never_varies_is_left_out(model: Model, phantom: float) -> None:
    ranking = rank(votes((60, A, B, LEFT), (20, A, B, RIGHT)), "AB", model=model, phantom=phantom)
    assert ranking.position.value is None
    assert rows(ranking)["A"].rating == pytest.approx(1500 + 190.85 / 2, abs=3)
    assert said(ranking, "sides were never changed")


def test_a_side_bias_is_reported() -> None:
    biased = votes((60, A, B, LEFT), (20, A, B, RIGHT), (60, B, A, LEFT), (20, B, A, RIGHT))
    ranking = rank(biased, "AB")
    assert ranking.position.value == pytest.approx(190.85, abs=3)
    assert said(ranking, "favoured the left side by 1")


@pytest.mark.parametrize("raters", [1, 2])
def test_too_few_raters_are_not_clustered_by(raters: int) -> None:
    ballots = votes(*EVEN)
    column = np.arange(len(ballots)) % raters
    one = rank(Votes(ballots.left, ballots.right, ballots.outcome, rater=column), "AB")
    plain = rank(ballots, "AB")
    assert one.clusters == {}
    assert [row.se for row in one.rows] == pytest.approx([row.se for row in plain.rows])
    assert said(one, f"Only {raters} rater")


def test_a_contestant_judged_by_one_rater_keeps_a_wide_interval() -> None:
    """Its scores within that one cluster sum to almost nothing, which is no certainty."""
    ballots = votes(*EVEN, (25, C, A, LEFT), (25, A, C, LEFT))
    rater = np.where((ballots.left == C) | (ballots.right == C), 7, np.arange(len(ballots)) % 7)
    newcomer = rows(rank(Votes(ballots.left, ballots.right, ballots.outcome, rater), "ABC"))["C"]
    assert newcomer.interval == "laplace"
    assert newcomer.se is not None
    assert newcomer.se > 20


def test_a_contestant_judged_by_three_raters_is_not_left_to_their_agreement() -> None:
    """Three raters who happen to agree closely make a small sandwich, far from collapsed."""
    wins = (11, 10, 9)
    newcomers = [group for w in wins for group in ((w, C, A, LEFT), (20 - w, C, A, RIGHT))]
    ballots = votes(*EVEN, *newcomers)
    rater = np.concatenate([np.random.default_rng(0).integers(0, 40, 90), np.repeat([0, 1, 2], 20)])
    found = rows(rank(replace(ballots, rater=rater), "ABC", cluster=("rater",)))
    assert [found[name].interval for name in "ABC"] == ["sandwich", "sandwich", "laplace"]


@pytest.mark.parametrize("correction", ["none", "small"])
def test_raters_who_cancel_out_are_no_certainty(correction: Literal["none", "small"]) -> None:
    """Each votes once for either side of either order, so that every rater's scores sum to nothing."""
    pairs = [(A, B, LEFT), (A, B, RIGHT), (B, A, LEFT), (B, A, RIGHT)]
    ballots = votes(*((1, *pair) for _ in range(40) for pair in pairs))
    ballots = replace(ballots, rater=np.repeat(np.arange(40), 4))
    ranking = rank(ballots, "AB", cluster=("rater",), cluster_correction=correction)
    assert ranking.position.se is not None
    assert ranking.position.se > 20
    for row in ranking.rows:
        assert row.interval == "laplace"
        assert row.se is not None
        assert row.se > 10


def test_a_collapsed_difference_is_no_certainty() -> None:
    """A and B only ever tie with each other: each has an error of its own, their difference would have none."""
    columns = ([A, A, B, B, C], [B, B, C, C, B], [TIE, TIE, LEFT, LEFT, LEFT])
    ballots = replace(Votes(*(np.array(column) for column in columns)), rater=np.array([0, 0, 0, 1, 0]))
    difference = rank(ballots, "ABC", phantom=0, cluster_correction="none").difference("A", "B")
    assert difference is not None
    assert difference.se > 50


def test_a_provisional_rating_never_rests_on_the_sandwich() -> None:
    ranking = rank(votes(*EVEN, (3, C, A, LEFT), (2, B, C, RIGHT)), "ABC", cluster=(), cluster_correction="none")
    assert [rows(ranking)[name].interval for name in "ABC"] == ["sandwich", "sandwich", "laplace"]


def test_a_separated_likelihood_has_no_pure_estimate() -> None:
    """A wins or ties on every comparison: Davidson's likelihood climbs for ever, though a tie links the two."""
    ranking = rank(votes((9, A, B, LEFT), (9, B, A, RIGHT), (5, A, B, TIE)), "AB", phantom=0)
    assert [row.rating for row in ranking.rows] == [None, None]
    assert said(ranking, "no finite maximum-likelihood")
    usual = rank(votes((9, A, B, LEFT), (9, B, A, RIGHT), (5, A, B, TIE)), "AB")
    assert usual.rows[0].interval == "laplace"
    assert usual.rows[0].rating is not None
    assert 1600 < usual.rows[0].rating < 2500


def test_an_unknown_outcome_is_an_error() -> None:
    with pytest.raises(UnknownOutcome, match="got 'draw'"):
        Votes.from_labels("A", "B", ["draw"])
    with pytest.raises(UnknownOutcome, match="got 4 at position 1"):
        Votes(np.array([0, 0]), np.array([1, 1]), np.array([0, 4]))
    with pytest.raises(UnknownOutcome, match="got -1"):
        Votes(np.array([0]), np.array([1]), np.array([-1]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [1], [0, 0]), "2 in left and 1 in right"),
        (([0, 1], [1, 1], [0, 0]), "same one on both sides at position 1"),
        (([0, -1], [1, 0], [0, 0]), "left must not go below 0, got -1 at position 1"),
        (([0.5], [1], [0]), "integer codes"),
        (([[0]], [1], [0]), "one-dimensional"),
    ],
)
def test_malformed_columns_are_errors(columns: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(MalformedVotes, match=message):
        Votes(*(np.array(column) for column in columns))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"model": "elo"}, "model must be one of"),
        ({"scale": "glicko"}, "scale must be one of"),
        ({"cluster_correction": "big"}, "cluster correction must be"),
        ({"cluster": ("country",)}, "cluster must be one of rater, prompt"),
        ({"cluster": "rater"}, "must be a list"),
        ({"phantom": -1}, "from 0 up"),
        ({"phantom": float("nan")}, "from 0 up"),
    ],
)
def test_unknown_options_are_errors(option: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownOption, match=message):
        rank(votes(*EVEN), "AB", **option)


def test_names_must_fit_the_votes() -> None:
    with pytest.raises(UnknownContestant, match="below the number of names, 1, got 1"):
        rank(votes(*EVEN), "A")
    with pytest.raises(UnknownContestant, match="anchor must be one of"):
        rank(votes(*EVEN), "AB", anchor="Z")
    with pytest.raises(MalformedVotes, match="unique"):
        rank(votes(*EVEN), "AA")
    with pytest.raises(UnknownContestant, match="got 'B'"):
        Votes.from_labels("A", "B", ["left"], names=["A"])


def test_an_anchor_without_a_rating_is_passed_over() -> None:
    ranking = rank(votes(*EVEN), "ABC", anchor="C")
    assert rows(ranking)["A"].rating == pytest.approx(1500)
    assert said(ranking, "anchor C has no comparable rating")


def test_an_anchor_is_exact_and_the_others_carry_its_uncertainty() -> None:
    ballots = votes(*EVEN, (20, A, C, LEFT), (20, C, A, LEFT), (9, C, B, LEFT), (12, B, C, LEFT))
    free, anchored = rank(ballots, "ABC"), rank(ballots, "ABC", anchor="A")
    row = rows(anchored)["A"]
    assert (row.rating, row.se, row.low, row.high) == (1500, 0, 1500, 1500)
    difference = free.difference("B", "A")
    assert difference is not None
    assert rows(anchored)["B"].rating == pytest.approx(1500 + difference.value)
    assert rows(anchored)["B"].se == pytest.approx(difference.se)


def test_a_covariate_that_belongs_to_the_contestant_is_left_out() -> None:
    ballots = votes(*EVEN, (10, C, A, LEFT), (10, A, C, LEFT))
    latency = np.array([1.0, 2.0, 4.0])
    slow = replace(ballots, covariates={"latency": latency[ballots.left] - latency[ballots.right]})
    ranking = rank(slow, "ABC")
    assert ranking.covariates == {}
    assert ranking.covariance == pytest.approx(rank(ballots, "ABC").covariance)
    assert said(ranking, "covariate latency never varied")


def test_a_covariate_of_zeros_is_left_out() -> None:
    ballots = votes(*EVEN)
    assert rank(replace(ballots, covariates={"pixels": np.zeros(len(ballots))}), "AB").covariates == {}


def test_votes_of_weight_zero_do_not_count() -> None:
    ballots = votes(*EVEN, (30, C, A, LEFT))
    weight = np.where(ballots.left == C, 0.0, 1.0)
    assert rank(replace(ballots, weight=weight), "ABC").rows == rank(votes(*EVEN), "ABC").rows


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_must_be_numbers_from_zero_up(weight: float) -> None:
    with pytest.raises(MalformedVotes, match="weight must"):
        Votes(np.array([0]), np.array([1]), np.array([0]), weight=np.array([weight]))
