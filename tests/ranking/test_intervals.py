"""Whether the intervals hold what they promise, on votes from a known truth with raters and prompts that differ."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raters.ranking import Votes, rank
from raters.ranking.intervals import positive_part, quantile, rank_intervals, simultaneous_quantile
from tests.ranking.simulated import World, coverage

SPREAD = tuple(np.linspace(-0.8, 0.8, 6))


# With 250 runs of 6 contestants the share of covered intervals has a standard error of at most 0.009 (independent runs,
# intervals within a run about as good as 2.5 independent ones), so 0.95 may show as 0.92 to 0.98.
RUNS, LOW, HIGH = 250, 0.92, 0.98


def test_two_way_clustered_intervals_cover() -> None:
    share, ranks = coverage(World(SPREAD, raters=40, prompts=40), each=25, runs=RUNS)
    assert LOW <= share <= HIGH
    assert ranks >= LOW


def test_intervals_cover_with_six_raters() -> None:
    """Nominally at least 0.92 of them; less three standard errors of this simulation."""
    share, _ = coverage(World(SPREAD, raters=6, prompts=60), each=150, runs=RUNS)
    assert 0.92 - 0.03 <= share <= HIGH + 0.01


def test_plain_intervals_cover_where_votes_are_independent() -> None:
    world = World(SPREAD, raters=200, prompts=50, rater_spread=0.0, prompt_spread=0.0)
    share, ranks = coverage(world, each=5, runs=RUNS, cluster=())
    assert LOW <= share <= HIGH
    assert ranks >= LOW


def test_intervals_that_ignore_raters_and_prompts_do_not_cover() -> None:
    """The simulation can tell: with such tastes the unclustered intervals are much too narrow."""
    share, _ = coverage(World(SPREAD, raters=40, prompts=40), each=25, runs=60, cluster=())
    assert share < 0.88


def test_laplace_intervals_cover_when_votes_are_few() -> None:
    world = World(SPREAD, raters=10, prompts=30, rater_spread=0.0, prompt_spread=0.0)
    share, _ = coverage(world, each=6, runs=RUNS)
    assert share >= LOW


@pytest.mark.parametrize(("spread", "kind"), [(0.0, "laplace"), (2.5, "sandwich")])
def test_few_votes_take_the_wider_of_laplace_and_sandwich(spread: float, kind: str) -> None:
    world = World(SPREAD, raters=10, prompts=30, rater_spread=spread, prompt_spread=0.0)
    ranking = rank(world.votes(np.random.default_rng(0), each=6), world.names)
    few = [row for row in ranking.rows if row.comparisons < 30]
    for row in few:
        laplace = np.sqrt(np.diag(ranking.model_covariance))[ranking.names.index(row.name)] * ranking.unit
        low, high = np.array([row.low, row.high], dtype=float)
        assert (high - low) / 2 >= 1.959 * laplace
        assert (row.se == pytest.approx(laplace)) == (row.interval == "laplace")
    assert kind in {row.interval for row in few}
    assert any("Laplace" in warning for warning in ranking.warnings) == any(r.interval == "laplace" for r in few)


def test_the_simultaneous_quantile_of_one_difference_is_the_usual_one() -> None:
    covariance = np.array([[1.0, -0.3], [-0.3, 2.0]])
    assert simultaneous_quantile(covariance, np.inf, seed=0) == pytest.approx(1.96, abs=0.05)
    assert simultaneous_quantile(covariance, 5.0, seed=0) == pytest.approx(2.571, abs=0.12)
    assert quantile(np.inf) == pytest.approx(1.959964, abs=1e-6)
    assert quantile(5.0) == pytest.approx(2.570582, abs=1e-6)


@pytest.mark.parametrize(("count", "expected"), [(3, 3.314), (5, 3.858), (10, 4.474)])
def test_the_simultaneous_quantile_is_the_studentised_range(count: int, expected: float) -> None:
    """For equal independent estimates it is Tukey's quantile, as tabled, over √2."""
    found = simultaneous_quantile(np.eye(count), np.inf, seed=0) * np.sqrt(2)
    assert found == pytest.approx(expected, abs=0.07)


def test_rank_intervals_by_hand() -> None:
    low, high = rank_intervals(np.array([0.0, 10.0, 10.1, -5.0]), np.eye(4) * 0.01, np.inf, seed=0)
    assert low.tolist() == [3, 1, 1, 4]
    assert high.tolist() == [3, 2, 2, 4]


def test_rank_intervals_do_not_depend_on_the_order_of_contestants() -> None:
    """Among so many close pairs another simulation would move some interval."""
    world = World(tuple(np.linspace(-0.8, 0.8, 14)))
    votes = world.votes(np.random.default_rng(0), each=60)
    expected = {row.name: (row.rank_low, row.rank_high) for row in rank(votes, world.names).rows}
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(14)
        place = np.argsort(order)
        moved = replace(votes, left=place[votes.left], right=place[votes.right])
        rows = rank(moved, [world.names[i] for i in order]).rows
        assert {row.name: (row.rank_low, row.rank_high) for row in rows} == expected


def test_the_positive_part_keeps_what_is_positive() -> None:
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    assert positive_part(matrix) == pytest.approx(matrix)
    assert np.linalg.eigvalsh(positive_part(np.diag([1.0, -1.0]))) == pytest.approx([0, 1])


def test_a_two_way_covariance_is_made_positive() -> None:
    """With few raters and prompts V_rater + V_prompt − V_both often is not."""
    world = World(SPREAD, raters=4, prompts=4, rater_spread=0.0, prompt_spread=0.0)
    votes = world.votes(np.random.default_rng(0), each=60)
    assert votes.rater is not None
    assert votes.prompt is not None
    plain: dict[str, Any] = {"phantom": 0, "cluster_correction": "none"}
    cell = replace(votes, rater=votes.rater * 4 + votes.prompt)
    rater, prompt = (rank(votes, world.names, cluster=(kind,), **plain).covariance for kind in ("rater", "prompt"))
    raw = rater + prompt - rank(cell, world.names, cluster=("rater",), **plain).covariance
    found = rank(votes, world.names, **plain).covariance
    assert np.linalg.eigvalsh(raw).min() < -1e-6
    assert np.linalg.eigvalsh(found).min() > -1e-12


def test_sparse_and_dense_sums_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = World(SPREAD).votes(np.random.default_rng(3), each=30)
    dense = rank(votes, World(SPREAD).names)
    monkeypatch.setattr("raters.ranking.intervals.DENSE", 0)
    sparse = rank(votes, World(SPREAD).names)
    assert sparse.covariance == pytest.approx(dense.covariance, rel=1e-9, abs=1e-15)
    assert sparse.rows == dense.rows or [r.se for r in sparse.rows] == pytest.approx([r.se for r in dense.rows])


def test_the_same_seed_gives_the_same_ranking_and_settings_reproduce_it() -> None:
    votes = World(SPREAD).votes(np.random.default_rng(4), each=10)
    ranking = rank(votes, World(SPREAD).names, seed=3)
    settings: dict[str, Any] = {k: v for k, v in ranking.settings.items() if k not in ("method", "version", "level")}
    assert rank(votes, World(SPREAD).names, **settings).as_dict() == ranking.as_dict()


def test_differences_and_superiority() -> None:
    votes = World(SPREAD).votes(np.random.default_rng(5), each=30)
    ranking = rank(votes, World(SPREAD).names)
    best, worst = ranking.difference("m5", "m0"), ranking.difference("m0", "m5")
    assert best is not None
    assert worst is not None
    assert best.value == pytest.approx(-worst.value)
    assert best.probability > 0.99
    assert best.probability + worst.probability == pytest.approx(1)
    chances = ranking.superiority()
    assert np.diag(chances) == pytest.approx(0.5)
    assert chances + chances.T == pytest.approx(1)


def test_both_bad_ranks_as_a_tie_and_is_counted_apart() -> None:
    votes = World(SPREAD).votes(np.random.default_rng(6), each=30)
    outcome = votes.outcome.copy()
    tied = np.flatnonzero(outcome == 2)
    outcome[tied[::2]] = 3
    marked = Votes(votes.left, votes.right, outcome, votes.rater, votes.prompt)
    plain, other = rank(votes, World(SPREAD).names), rank(marked, World(SPREAD).names)
    for before, after in zip(plain.rows, other.rows, strict=True):
        assert (after.rating, after.se) == (before.rating, before.se)
        assert after.ties + after.both_bad == before.ties
    assert sum(row.both_bad for row in other.rows) == 2 * len(tied[::2])
