"""What leaving a rater out does."""

from dataclasses import replace

import numpy as np
import pytest

from raters.ranking import MalformedVotes, UnknownOption, Votes, find_influence, rank
from tests.ranking.simulated import World

WORLD = World((-0.8, -0.4, 0.0, 0.4, 0.8), raters=40, prompts=50)


def votes_of(seed: int) -> Votes:
    return WORLD.votes(np.random.default_rng(seed), each=50)


def without(votes: Votes, rater: int) -> np.ndarray:
    """Elo, by a new fit."""
    assert votes.rater is not None
    return rank(votes.only(votes.rater != rater), WORLD.names).strengths * 400 / np.log(10)


@pytest.mark.parametrize("seed", range(2))
def test_one_step_is_close_to_the_fit_without(seed: int) -> None:
    """Within a tenth of the largest change for all, whose typical size is several Elo."""
    votes = votes_of(seed)
    found = find_influence(votes, WORLD.names, refits=0)
    exact = np.array([without(votes, int(rater)) for rater in found.codes])
    moved = exact - rank(votes, WORLD.names).strengths * 400 / np.log(10)
    assert np.abs(moved).max() > 5
    assert np.abs(found.shifts - moved).max() < 0.1 * np.abs(moved).max()


def test_a_refit_is_exact() -> None:
    votes = replace(votes_of(3), weight=np.random.default_rng(0).uniform(0.5, 1.5, 2000))
    found = find_influence(votes, WORLD.names, refits=4)
    assert [group.exact for group in found.groups].count(True) == 4
    before = rank(votes, WORLD.names).strengths * 400 / np.log(10)
    for group in found.groups:
        if group.exact:
            moved = without(votes, group.group) - before
            at = int(np.flatnonzero(found.codes == group.group)[0])
            assert found.shifts[at] == pytest.approx(moved, abs=1e-6)
            assert group.largest == pytest.approx(moved[np.abs(moved).argmax()], abs=1e-6)
            assert group.moved == WORLD.names[np.abs(moved).argmax()]


def test_who_rigs_the_top_is_named_first() -> None:
    """One rater of 41 votes 500 times for one that is otherwise second."""
    votes = votes_of(4)
    honest = rank(votes, WORLD.names).rows
    pushed, beaten = (WORLD.names.index(honest[place].name) for place in (1, 0))
    rigged = Votes(
        np.append(votes.left, np.full(500, pushed)),
        np.append(votes.right, np.full(500, beaten)),
        np.append(votes.outcome, np.zeros(500, dtype=int)),
        np.append(votes.rater, np.full(500, 99)) if votes.rater is not None else None,
    )
    found = find_influence(rigged, WORLD.names, top=2)
    assert found.top == (honest[1].name, honest[0].name)
    assert found.groups[0].group == 99
    assert found.groups[0].changes_top
    assert found.groups[0].exact
    assert found.groups[0].votes == 500
    assert found.groups[0].top == (honest[0].name, honest[1].name)


def test_any_group_can_be_left_out() -> None:
    votes = votes_of(5)
    assert votes.rater is not None
    by_rater, by_group = find_influence(votes, WORLD.names), find_influence(votes, WORLD.names, groups=votes.rater * 10)
    assert by_group.codes.tolist() == (10 * by_rater.codes).tolist()
    assert by_group.shifts == pytest.approx(by_rater.shifts)


def test_many_groups_are_summed_sparsely(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = votes_of(7)
    dense = find_influence(votes, WORLD.names)
    monkeypatch.setattr("raters.ranking.intervals.DENSE", 0)
    assert find_influence(votes, WORLD.names).shifts == pytest.approx(dense.shifts)


def test_the_unranked_have_no_shift() -> None:
    votes = votes_of(6)
    found = find_influence(votes, (*WORLD.names, "new"))
    assert np.isnan(found.shifts[:, 5]).all()
    assert np.isfinite(found.shifts[:, :5]).all()
    assert found.shifts[:, :5].mean(axis=1) == pytest.approx(0, abs=1e-9)


def test_a_group_whose_absence_leaves_no_fit_is_not_called_exact() -> None:
    """Without phantom votes, and without rater 0's, who alone saw it lose, b has no finite rating."""
    left, right = np.array([0, 1, 0, 0, 1]), np.array([1, 0, 1, 1, 0])
    votes = Votes(left, right, np.array([0, 1, 1, 1, 0]), np.array([0, 0, 1, 2, 2]))
    found = find_influence(votes, ("a", "b"), position=False, phantom=0)
    assert {group.group: group.exact for group in found.groups} == {0: False, 1: True, 2: True}
    assert np.isfinite(found.shifts).all()


def test_what_is_wrong_is_said() -> None:
    votes = votes_of(0)
    with pytest.raises(MalformedVotes, match="rater, or another group"):
        find_influence(replace(votes, rater=None), WORLD.names)
    with pytest.raises(MalformedVotes, match="rank none"):
        find_influence(votes.only(np.arange(1)), WORLD.names)
    with pytest.raises(UnknownOption, match="at least one rank"):
        find_influence(votes, WORLD.names, top=0)
