"""What must not change a ranking, whatever the votes."""

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raters.ranking import Ranking, Votes, pair_probabilities, rank
from raters.ranking.fit import Model

# The same examples in every run, so that a failure is the change's own; no deadline on a busy machine.
STEADY = settings(deadline=None, derandomize=True)
MODELS = st.sampled_from(["davidson", "bradley-terry"])
FIELDS = ("rating", "se", "low", "high", "rank_low", "rank_high", "comparisons", "wins", "losses", "ties", "both_bad")


@st.composite
def ballots(draw: st.DrawFn, contestants: int = 5, most: int = 60) -> Votes:
    pair = st.permutations(range(contestants)).map(lambda order: order[:2])
    rows = draw(
        st.lists(st.tuples(pair, st.integers(0, 3), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=most)
    )
    columns = [np.array(column) for column in zip(*((*p, o, r, q) for p, o, r, q in rows), strict=True)]
    return Votes(*columns)


def names(k: int = 5) -> list[str]:
    return [f"m{i}" for i in range(k)]


def close(first: float | None, second: float | None, tolerance: float = 1e-5) -> bool:
    """Equal up to rounding; a few votes can be ill-conditioned and lose digits. None is only close to None."""
    if first is None or second is None:
        return first is second
    return bool(first == pytest.approx(second, rel=tolerance, abs=10 * tolerance))


def assert_same(first: Ranking, second: Ranking, skip: tuple[str, ...] = ()) -> None:
    ours, theirs = ({row.name: row for row in ranking.rows} for ranking in (first, second))
    assert ours.keys() == theirs.keys()
    for name, row in ours.items():
        for field in FIELDS:
            if field not in skip:
                assert close(getattr(theirs[name], field), getattr(row, field)), (name, field)


@given(ballots(), MODELS, st.permutations(range(5)))
@settings(STEADY, max_examples=60)
def test_renumbering_contestants_changes_nothing(votes: Votes, model: Model, order: list[int]) -> None:
    place = np.argsort(order)
    moved = replace(votes, left=place[votes.left], right=place[votes.right])
    assert_same(rank(votes, names(), model=model), rank(moved, [names()[i] for i in order], model=model))


@given(ballots(), MODELS)
@settings(STEADY, max_examples=60)
def test_swapping_sides_changes_only_the_sign_of_the_position(votes: Votes, model: Model) -> None:
    swapped = replace(votes, left=votes.right, right=votes.left, outcome=np.array([1, 0, 2, 3])[votes.outcome])
    first, second = rank(votes, names(), model=model), rank(swapped, names(), model=model)
    assert_same(first, second)
    assert close(second.position.value, first.position.value and -first.position.value)


@given(ballots(), MODELS, st.randoms(use_true_random=False))
@settings(STEADY, max_examples=60)
def test_the_order_of_votes_changes_nothing(votes: Votes, model: Model, shuffler: Random) -> None:
    rows = list(range(len(votes)))
    shuffler.shuffle(rows)
    assert_same(rank(votes, names(), model=model), rank(votes.only(np.array(rows)), names(), model=model))


@given(ballots(), MODELS)
@settings(STEADY, max_examples=40)
def test_numbers_of_raters_and_prompts_are_only_labels(votes: Votes, model: Model) -> None:
    assert votes.rater is not None
    assert votes.prompt is not None
    renamed = replace(votes, rater=votes.rater * 1_000_003 + 17, prompt=9 - votes.prompt)
    assert_same(rank(votes, names(), model=model), rank(renamed, names(), model=model))


@given(ballots(most=120), MODELS)
@settings(STEADY, max_examples=40)
def test_votes_counted_twice_halve_the_variance(votes: Votes, model: Model) -> None:
    """Of separate votes; within the same raters they add nothing."""
    twice = votes.only(np.tile(np.arange(len(votes)), 2))
    plain: dict[str, Any] = {"model": model, "phantom": 0, "cluster_correction": "none"}
    once, double = (rank(v, names(), **plain, cluster=()) for v in (votes, twice))
    assume(all(row.interval != "laplace" for row in (*once.rows, *double.rows)))
    known = {row.name: row for row in once.rows}
    for after in double.rows:
        before = known[after.name]
        assert close(after.rating, before.rating)
        assert close(after.se, before.se and before.se / np.sqrt(2))
    once, double = (rank(v, names(), **plain, cluster=("rater",)) for v in (votes, twice))
    assume(all(row.interval != "laplace" for row in (*once.rows, *double.rows)))
    if once.clusters:
        assert_same(once, double, skip=("comparisons", "wins", "losses", "ties", "both_bad"))


@given(ballots(), MODELS)
@settings(STEADY, max_examples=40)
def test_a_contestant_without_votes_changes_nothing(votes: Votes, model: Model) -> None:
    first, second = rank(votes, names(), model=model), rank(votes, [*names(), "new"], model=model)
    new = next(row for row in second.rows if row.name == "new")
    assert (new.rating, new.rank_low, new.comparisons) == (None, None, 0)
    assert any("new" in warning for warning in second.warnings)
    known = {row.name: row for row in second.rows}
    for row in first.rows:
        for field in FIELDS:
            assert close(getattr(known[row.name], field), getattr(row, field), 1e-7), (row.name, field)


@given(ballots(contestants=4, most=25), MODELS, st.sampled_from([0.0, 0.5]), st.booleans())
@settings(STEADY, max_examples=150)
def test_no_silly_number_ever(votes: Votes, model: Model, phantom: float, position: bool) -> None:
    ranking = rank(votes, names(4), model=model, phantom=phantom, position=position)
    ranked = [row for row in ranking.rows if row.ranked]
    assert {row.name for row in ranking.rows} == set(names(4))
    for row in ranking.rows:
        assert row.comparisons == row.wins + row.losses + row.ties + row.both_bad
        numbers = (row.rating, row.se, row.low, row.high)
        if row.rating is None:
            assert numbers == (None,) * 4
            assert not row.ranked
        else:
            rating, se, low, high = np.array(numbers, dtype=float)
            assert low < rating < high
            assert np.isfinite(se)
            assert abs(rating - 1500) < 3000
    for row in ranked:
        assert row.rank_low is not None
        assert row.rank_high is not None
        assert 1 <= row.rank_low <= row.rank_high <= len(ranked)
    assert len(ranked) != 1
    assert all(warning.endswith(".") for warning in ranking.warnings)


@given(ballots(contestants=5, most=25), st.floats(0.1, 1.0))
@settings(STEADY, max_examples=60)
def test_pair_probabilities_are_probabilities(votes: Votes, uniform: float) -> None:
    ranking = rank(votes, names())
    chances = pair_probabilities(
        votes.pair_counts(5),
        strengths=ranking.strengths,
        covariance=ranking.covariance,
        tie=ranking.tie.value or 0.0,
        uniform=uniform,
    )
    assert np.array_equal(chances, chances.T)
    assert not np.diag(chances).any()
    assert np.triu(chances).sum() == pytest.approx(1)
    assert chances[np.triu_indices(5, 1)].min() >= uniform / 10 - 1e-12
