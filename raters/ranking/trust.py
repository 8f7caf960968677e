"""How far each rater can be trusted: weights for votes, never their deletion, and a table of raters to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy  # its parts take long to load, and load when they are used
from numpy.typing import NDArray

from raters.ranking.connections import connect
from raters.ranking.controls import Controls, Share
from raters.ranking.errors import MalformedVotes
from raters.ranking.fit import Fitted, fit_votes
from raters.ranking.intervals import quantile
from raters.ranking.lapses import Lapses, find_lapses
from raters.ranking.ranking import ELO
from raters.ranking.threads import one_thread
from raters.ranking.votes import LEFT, RIGHT, TIE, Codes, Floats, Votes

SIDE_PHANTOM = 0.5  # wins and losses of the left side that keep the side bias of a one-sided rater finite
SIDE_STEPS = 100


@dataclass(frozen=True)
class RaterTrust:
    """One rater; None where the votes cannot tell.

    Args:
        rater: the code in `Votes.rater`.
        votes: how many, those of weight 0 included.
        lapse: probability that a vote of this rater says nothing about what was shown.
        weight: mean weight of the rater's votes, 1 for full trust.
        side_bias, side_low, side_high: how much stronger the left side is to this rater, in Elo, with 95 % interval.
        left_rate: share of decisions for the left side.
        tie_rate: share of votes that are ties or both bad.
        agreement: share of decisions for the side that the fit favours.
        expected_agreement: that share if the rater decided as the fit says; easy pairs raise both.
        gold: known answers found.
        repeats: repeated comparisons answered as before.
    """

    rater: int
    votes: int
    lapse: float | None
    weight: float | None
    side_bias: float | None
    side_low: float | None
    side_high: float | None
    left_rate: float | None
    tie_rate: float | None
    agreement: float | None
    expected_agreement: float | None
    gold: Share | None
    repeats: Share | None


@dataclass(frozen=True, eq=False)
class Trust:
    """Args:
    raters: by code.
    weight: (n,) of each vote, 0 to 1; 1 for a vote that no fit covers.
    rounds: of the expectation–maximisation; `converged` if the last one changed next to nothing.
    warnings: full sentences.
    """

    raters: tuple[RaterTrust, ...]
    weight: Floats
    rounds: int
    converged: bool
    warnings: tuple[str, ...]

    def weigh(self, votes: Votes) -> Votes:
        """The same votes for `rank`, each as heavy as it is trusted; weights they had stay as factors."""
        return replace(votes, weight=self.weight if votes.weight is None else self.weight * votes.weight)


@one_thread
def find_trust(
    votes: Votes,
    names: Sequence[str],
    *,
    position: bool = True,
    phantom: float = 0.5,
    gold: Controls | None = None,
    repeats: Controls | None = None,
) -> Trust:
    """Fits strengths and raters' lapses together (see `raters.ranking.lapses`) and looks at each rater beside the fit.

    Votes of weight 0 do not move the fit but are judged by it, so that an excluded rater can be looked at again.

    Args:
        position, phantom: as in `rank`.
        gold: comparisons whose answer is known.
        repeats: comparisons shown again.
    Raises:
        MalformedVotes: the votes do not say who cast them.
    """
    if votes.rater is None:
        raise MalformedVotes("Rater trust needs the rater of every vote, but there is no such column; add it.")
    known = [controls.rater for controls in (gold, repeats) if controls is not None]
    codes = np.unique(np.concatenate([votes.rater, *known]))
    rater = np.searchsorted(codes, votes.rater)
    columns = _habits(votes.outcome, rater, len(codes))
    weight, warnings, lapses = np.ones(len(votes)), [], None
    covered, fitted = _first_fit(votes, names, position, phantom)
    if fitted is None or fitted.estimate is None:
        warnings.append("These votes have no fit to hold raters against, so all are trusted alike.")
    else:
        lapses = find_lapses(fitted.estimate, rater[covered], len(codes), phantom)
        weight[covered] = lapses.kept
        columns |= _beside_the_fit(lapses, "position" in fitted.effects, rater[covered], len(codes))
        if not lapses.converged:
            warnings.append(f"Rater trust was still changing after {lapses.rounds} rounds; take the weights as rough.")
    nothing = (None,) * len(codes)
    found = nothing if gold is None else gold.shares(codes)
    repeated = nothing if repeats is None else repeats.shares(codes)
    cast = np.bincount(rater, minlength=len(codes))
    return Trust(
        raters=tuple(
            RaterTrust(
                rater=int(code),
                votes=int(cast[i]),
                **{name: None if np.isnan(column[i]) else float(column[i]) for name, column in columns.items()},
                gold=found[i],
                repeats=repeated[i],
            )
            for i, code in enumerate(codes)
        ),
        weight=weight,
        rounds=lapses.rounds if lapses else 0,
        converged=lapses is None or lapses.converged,
        warnings=tuple(warnings),
    )


def _first_fit(
    votes: Votes, names: Sequence[str], position: bool, phantom: float
) -> tuple[NDArray[np.bool_], Fitted | None]:
    """Which votes a fit can cover, (n,), and that fit, with every vote trusted."""
    connections = connect(votes if votes.weight is None else votes.only(votes.weight > 0), names)
    members = np.flatnonzero(connections.linked if phantom else connections.ranked)
    covered = np.isin(votes.left, members) & np.isin(votes.right, members)
    within = votes.among(members, len(names))
    fitted = fit_votes(within, len(members), model="davidson", position=position, phantom=phantom)
    return covered, fitted if len(fitted.votes) == len(within) else None


def _habits(outcome: Codes, rater: Codes, raters: int) -> dict[str, Floats]:
    """(G,) columns that need no fit; nan where a rater has no such vote."""
    decided = outcome <= RIGHT
    unknown = np.full(raters, np.nan)
    fitted = ("lapse", "weight", "side_bias", "side_low", "side_high", "agreement", "expected_agreement")
    return dict.fromkeys(fitted, unknown) | {
        "left_rate": _mean(outcome[decided] == LEFT, rater[decided], raters),
        "tie_rate": _mean(~decided, rater, raters),
    }


def _beside_the_fit(lapses: Lapses, position: bool, rater: Codes, raters: int) -> dict[str, Floats]:
    """(G,) columns; nan where a rater has no vote that tells."""
    cells, parameters = lapses.estimate.cells, lapses.estimate.parameters
    u = cells.predictor(parameters)[cells.of_vote]
    left, decided = cells.answer == LEFT, cells.answer != TIE
    told = decided & (np.abs(u) > 1e-9)
    even = u - (parameters[cells.contestants] if position else 0.0)
    bias, error = _side_bias(even[decided], left[decided], rater[decided], raters)
    half = quantile(np.inf) * error
    return {
        "lapse": np.where(np.bincount(rater, minlength=raters) > 0, lapses.probability, np.nan),
        "weight": _mean(lapses.kept, rater, raters),
        "side_bias": ELO * bias,
        "side_low": ELO * (bias - half),
        "side_high": ELO * (bias + half),
        "agreement": _mean((left == (u > 0))[told], rater[told], raters),
        "expected_agreement": _mean(scipy.special.expit(np.abs(u))[told], rater[told], raters),
    }


def _side_bias(u: Floats, left: NDArray[np.bool_], rater: Codes, raters: int) -> tuple[Floats, Floats]:
    """(G,) each rater's advantage of the left side and its standard error, in natural-log units.

    One logistic regression per rater with the log-odds `u` of each decision given, all at once by Newton's method.
    """
    bias = np.zeros(raters)
    for _ in range(SIDE_STEPS):
        chance = scipy.special.expit(u + bias[rater])
        slope = np.bincount(rater, left - chance, raters) - SIDE_PHANTOM * np.tanh(bias / 2)
        curvature = np.bincount(rater, chance * (1 - chance), raters) + SIDE_PHANTOM / (2 * np.cosh(bias / 2) ** 2)
        step = np.clip(slope / curvature, -1, 1)
        bias = bias + step
        if np.abs(step).max(initial=0) < 1e-9:
            break
    known = np.bincount(rater, minlength=raters) > 0
    return np.where(known, bias, np.nan), np.where(known, curvature**-0.5, np.nan)


def _mean(values: NDArray[np.bool_] | Floats, rater: Codes, raters: int) -> Floats:
    """(G,) mean of each rater's values; nan of none."""
    total, count = np.bincount(rater, values, raters), np.bincount(rater, minlength=raters)
    return np.asarray(np.divide(total, count, out=np.full(raters, np.nan), where=count > 0))
