"""Pass, fail or undecided."""

from functools import partial

import numpy as np
import pytest

from raters.ranking import UnknownContestant, UnknownOption, Verdict, Votes, rank, ship_verdict
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.ranking import ELO

NAMES = ("base", "quick")


def votes_between(gap: float, votes: int, random: np.random.Generator) -> Votes:
    """Votes on a candidate that is `gap` Elo above the baseline, sides at random."""
    left = random.integers(0, 2, votes)
    chances = outcome_probabilities(np.where(left == 1, gap, -gap) / ELO, 0.5)
    return Votes(left, 1 - left, (random.random(votes) > np.cumsum(chances, axis=0)[:2]).sum(axis=0))


def verdict_of(votes: Votes, margin: float, scale: str = "elo") -> Verdict:
    settings = partial(rank, position=False, cluster=())
    ranking = settings(votes, NAMES) if scale == "elo" else settings(votes, NAMES, scale="log")
    return ship_verdict(ranking, "quick", "base", margin)


@pytest.mark.parametrize(("gap", "outcome"), [(0, "pass"), (-80, "fail"), (60, "pass"), (-40, "undecided")])
def test_verdicts(gap: float, outcome: str) -> None:
    found = verdict_of(votes_between(gap, 4000, np.random.default_rng(2)), margin=40)
    assert found.outcome == outcome
    assert found.low is not None
    assert found.high is not None
    assert found.difference is not None
    assert found.low < found.difference < found.high
    assert (found.votes_needed == 0) == (outcome != "undecided")


def test_false_verdicts_are_rare_however_often_one_looks() -> None:
    """A candidate just at the margin: at most 5 % pass and 5 % fail (of 40: at most 5, with probability 0.99 each), at
    any of 25 looks; by the plain one-sided interval more than that do."""
    passed = failed = plainly = 0
    for seed in range(40):
        votes = votes_between(-40, 1250, np.random.default_rng(seed))
        rankings = [rank(votes.only(np.arange(n)), NAMES, position=False, cluster=()) for n in range(50, 1251, 50)]
        outcomes = {ship_verdict(ranking, "quick", "base", 40).outcome for ranking in rankings}
        passed, failed = passed + ("pass" in outcomes), failed + ("fail" in outcomes)
        gaps = [ranking.difference("quick", "base") for ranking in rankings]
        plainly += any(gap is not None and gap.value + 40 > 1.645 * gap.se for gap in gaps)
    assert passed <= 5
    assert failed <= 5
    assert plainly > 5


def test_the_votes_asked_for_decide() -> None:
    """As many votes more, in the proportions so far, bring the verdict; a tenth fewer do not."""

    def found(votes: int) -> Verdict:
        outcome = np.tile([0, 1, 0, 1, 2], votes // 5)
        return verdict_of(Votes(np.ones_like(outcome), np.zeros_like(outcome), outcome), margin=40)

    first = found(200)
    assert first.outcome == "undecided"
    assert first.votes_needed is not None
    assert found(200 + round(0.9 * first.votes_needed)).outcome == "undecided"
    assert found(200 + round(1.1 * first.votes_needed)).outcome == "pass"


def test_the_scale_does_not_matter() -> None:
    votes = votes_between(10, 500, np.random.default_rng(4))
    elo, log = verdict_of(votes, 30), verdict_of(votes, 30, scale="log")
    assert (elo.difference, elo.low, elo.high) == pytest.approx((log.difference, log.low, log.high))
    assert elo.votes_needed == log.votes_needed


def test_in_words() -> None:
    random = np.random.default_rng(2)
    assert verdict_of(votes_between(0, 4000, random), 40).sentence() == (
        "Pass: quick is not worse than base by more than 40 Elo."
    )
    assert verdict_of(votes_between(-90, 4000, random), 40).sentence() == (
        "Fail: quick is worse than base by more than 40 Elo."
    )
    undecided = verdict_of(votes_between(0, 300, random), 25).sentence()
    assert undecided.startswith("Undecided whether quick is worse than base by more than 25 Elo: about ")
    nothing = ship_verdict(rank(Votes(*np.zeros((3, 0), dtype=np.int64)), NAMES), "quick", "base", 25)
    assert nothing.sentence() == "Undecided: no votes compare quick with base yet."


def test_what_is_wrong_is_said() -> None:
    ranking = rank(votes_between(0, 50, np.random.default_rng(0)), NAMES)
    with pytest.raises(UnknownContestant, match="'slow'"):
        ship_verdict(ranking, "slow", "base", 25)
    for candidate, margin in (("base", 25.0), ("quick", 0.0), ("quick", float("nan"))):
        with pytest.raises(UnknownOption, match="margin above 0 Elo"):
            ship_verdict(ranking, candidate, "base", margin)
