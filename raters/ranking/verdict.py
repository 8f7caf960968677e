"""May it ship? "A is not worse than B by more than M Elo", with the margin M fixed before the votes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from raters.ranking.errors import UnknownContestant, UnknownOption
from raters.ranking.intervals import LEVEL
from raters.ranking.ranking import ELO
from raters.ranking.result import Ranking
from raters.ranking.stopping import ConfidenceSequence, in_votes, information_per_vote, log_difference

RADIUS = 3.0  # standard errors, about the sequence's width; so it is tightest when an equal is about to pass


@dataclass(frozen=True)
class Verdict:
    """Args:
    outcome: "pass" once low is above −margin, "fail" once high is below it.
    margin: M, in Elo.
    difference, low, high: of the candidate's rating less the baseline's, in Elo; each bound alone holds with 95 %
        confidence at all looks together. None where the two cannot be compared.
    votes_needed: about how many votes more between the two decide, if the difference is as it seems; 0 once decided,
        None where that cannot be said.
    """

    outcome: Literal["pass", "fail", "undecided"]
    candidate: str
    baseline: str
    margin: float
    difference: float | None
    low: float | None
    high: float | None
    votes_needed: int | None

    def sentence(self) -> str:
        """The verdict in words."""
        worse = f"worse than {self.baseline} by more than {self.margin:g} Elo"
        if self.outcome == "pass":
            return f"Pass: {self.candidate} is not {worse}."
        if self.outcome == "fail":
            return f"Fail: {self.candidate} is {worse}."
        if self.difference is None:
            return f"Undecided: no votes compare {self.candidate} with {self.baseline} yet."
        return f"Undecided whether {self.candidate} is {worse}: {in_votes(self.votes_needed)}."


def ship_verdict(ranking: Ranking, candidate: str, baseline: str, margin: float) -> Verdict:
    """Decides as soon as the votes do; looking often is safe.

    A candidate that is worse by more than the margin passes, and one that is not fails, with probability at most 5 %
    each, over all looks.

    Args:
        margin: in Elo, above 0; the same at every look.
    Raises:
        UnknownContestant: one of the two is not in the ranking.
        UnknownOption: the margin is not above 0, or the two are one.
    """
    for name in (candidate, baseline):
        if name not in ranking.names:
            raise UnknownContestant(f"A verdict needs two of the ranking's contestants, got {name!r}; check the name.")
    if candidate == baseline or not (np.isfinite(margin) and margin > 0):
        raise UnknownOption(
            f"A verdict needs two different contestants and a margin above 0 Elo, got {candidate!r}, {baseline!r} "
            f"and {margin}."
        )
    gap, se = log_difference(ranking, candidate, baseline)
    if not (np.isfinite(gap) and se > 0):
        return Verdict("undecided", candidate, baseline, margin, None, None, None, None)
    allowed, freedom = margin / ELO, ranking.degrees_of_freedom
    sequence = ConfidenceSequence.tightest(allowed / RADIUS, 1 - LEVEL, one_sided=True)
    radius, beyond = sequence.radius(se, freedom), gap + allowed
    outcome: Literal["pass", "fail", "undecided"] = "undecided"
    if abs(beyond) > radius:
        outcome = "pass" if beyond > 0 else "fail"
    per_vote = information_per_vote(ranking, candidate, baseline)
    return Verdict(
        outcome=outcome,
        candidate=candidate,
        baseline=baseline,
        margin=margin,
        difference=gap * ELO,
        low=(gap - radius) * ELO,
        high=(gap + radius) * ELO,
        votes_needed=sequence.votes_needed(abs(beyond), se, per_vote, freedom) if outcome == "undecided" else 0,
    )
