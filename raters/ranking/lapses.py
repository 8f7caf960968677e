"""Which votes were lapses: expectation–maximisation of Davidson's model and of raters who answer without looking.

A vote by rater k is a lapse with probability ε_k and then follows the rater's own habit of saying left, right or tie,
whatever is shown; otherwise it follows Davidson's model. ε_k is one of two: the slips of somebody attentive, or 1. What
share of raters has the latter is estimated too, with a Beta(1, 9) prior. A free ε_k for each rater does worse: over the
usual gaps between contestants, everybody lapsing half the time and gaps twice as wide would explain the votes as well.

Sources: Dempster, Laird & Rubin 1977 (EM); Kuss, Jäkel & Wichmann 2005 (lapses); Chen et al. 2013 (Crowd-BT, its kin).
"""

from dataclasses import dataclass, replace

import numpy as np

from raters.ranking.fit import Estimate, Objective, maximise
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.votes import Codes, Floats

LEVELS = np.array([0.01, 1.0])  # ε of somebody attentive, and of somebody who is not
PRIOR = (1.0, 9.0)  # of the share of raters with the latter
HABIT = 2.0  # how many lapses of all raters together a rater's own habit starts from
TOLERANCE = 1e-4  # largest last change of a lapse probability
MOST_ROUNDS = 500


@dataclass(frozen=True, eq=False)
class Lapses:
    """Args:
    estimate: of the model, with each vote as heavy as it is trusted.
    kept: (n,) probability of each vote that it was no lapse.
    probability: (G,) of a lapse, by rater: the mean of ε given the votes.
    rounds: how often expectation and maximisation took turns.
    """

    estimate: Estimate
    kept: Floats
    probability: Floats
    rounds: int
    converged: bool


def find_lapses(estimate: Estimate, rater: Codes, raters: int, phantom: float) -> Lapses:
    """Args:
    estimate: of Davidson's model on all votes; their weights, if any, count in the model but not in a rater's ε.
    rater: (n,) codes 0 … raters − 1, one entry per vote of the estimate.
    phantom: as in `rank`.
    """
    cells, answer = estimate.cells, estimate.cells.answer
    ties, place = estimate.derivatives.tie is not None, cells.place
    given = np.ones(len(rater)) if cells.votes.weight is None else cells.votes.weight
    kept, probability = np.full(len(rater), 0.5), np.full(raters, np.nan)
    share, change, rounds = PRIOR[0] / sum(PRIOR), np.inf, 0
    while not change <= TOLERANCE and rounds < MOST_ROUNDS:
        rounds += 1
        lapsed = LEVELS[:, None] * _habits(1 - kept, rater, answer, raters)
        both = lapsed + (1 - LEVELS[:, None]) * _chances(estimate).ravel()[place]
        fit = np.stack([np.bincount(rater, row, raters) for row in np.log(both)])
        belief = np.exp(fit - fit.max(axis=0)) * np.array([[1 - share], [share]])
        belief /= belief.sum(axis=0)
        kept = 1 - (belief[:, rater] * lapsed / both).sum(axis=0)
        share = float((belief[1].sum() + PRIOR[0]) / (raters + sum(PRIOR)))
        before, probability = probability, LEVELS @ belief
        change = float(np.abs(probability - before).max(initial=0))
        counts = np.bincount(place, given * kept, cells.counts.size).astype(np.float64)
        cells = replace(cells, counts=counts.reshape(cells.counts.shape))
        estimate = maximise(Objective(cells, ties, phantom), estimate.parameters)
    return Lapses(estimate, kept, probability, rounds, change <= TOLERANCE)


def _habits(lapsed: Floats, rater: Codes, answer: Codes, raters: int) -> Floats:
    """(n,) how readily each vote's rater would give that answer in a lapse, by all her other votes.

    A vote's own lapse is left out: a habit that it had itself helped to shape would fit every rater too well.
    """
    counts = np.bincount(rater * 3 + answer, lapsed, 3 * raters).reshape(raters, 3)
    common = (counts.sum(axis=0) + 1) / (counts.sum() + 3)
    others, total = counts[rater, answer] - lapsed, counts.sum(axis=1)[rater] - lapsed
    return np.asarray((np.maximum(others, 0) + HABIT * common[answer]) / (np.maximum(total, 0) + HABIT))


def _chances(estimate: Estimate) -> Floats:
    """(3, C) probability of left, right and tie in each cell."""
    nu = 0.0 if estimate.derivatives.tie is None else float(np.exp(estimate.parameters[-1]))
    return outcome_probabilities(estimate.cells.predictor(estimate.parameters), nu)
