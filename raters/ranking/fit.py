"""Maximum likelihood by damped Newton on tallied votes, with phantom votes that keep every estimate finite."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from raters.ranking.connections import aliased, position_obstacle
from raters.ranking.likelihood import Cells, Derivatives, derive
from raters.ranking.threads import one_thread
from raters.ranking.votes import RIGHT, Floats, Votes

Model = Literal["davidson", "bradley-terry"]

# Largest last Newton step, in natural-log units. Steps shrink by squares, so that one of 1e-7 leaves less than 1e-9.
TOLERANCE = 1e-7
MOST_ITERATIONS = 30  # a likelihood without a finite maximum climbs for ever, by about one unit a step


@dataclass(frozen=True, eq=False)
class Objective:
    """The penalised log-likelihood of tallied votes.

    Each contestant has `phantom` wins and as many losses against an imaginary opponent of strength 0; likewise each
    effect alone between equals. With 0 it is the plain likelihood, whose free origin is then held by a unit of
    information on the mean strength; that moves no estimate.
    """

    cells: Cells
    ties: bool
    phantom: float

    def start(self) -> Floats:
        """Strengths as if everybody had met opponents of average strength."""
        cells, k = self.cells, self.cells.contestants
        counted = cells.counts[:2].sum(axis=0) if self.ties else cells.total
        lead = np.bincount(cells.first, cells.lead, k) - np.bincount(cells.second, cells.lead, k)
        met = np.bincount(cells.first, counted, k) + np.bincount(cells.second, counted, k)
        strengths = 2 * np.arctanh(np.clip(lead / (met + 2), -0.99, 0.99))
        effects = np.zeros(len(cells.effects))
        nu = [np.log(2 * cells.counts[2].sum() / counted.sum())] if self.ties else []
        return np.concatenate([strengths - strengths.mean(), effects, nu])

    def derivatives(self, parameters: Floats) -> Derivatives:
        return derive(self.cells, self.cells.predictor(parameters), float(parameters[-1]) if self.ties else None)

    def held(self, parameters: Floats) -> Floats:
        """The parameters that phantom votes hold: strengths and effects, not the ties."""
        return parameters[: self.cells.held]

    def value(self, parameters: Floats, derivatives: Derivatives) -> float:
        held = self.held(parameters)
        return derivatives.value - self.phantom * float(np.logaddexp(0, held).sum() + np.logaddexp(0, -held).sum())

    def gradient(self, parameters: Floats, derivatives: Derivatives) -> Floats:
        cells, tie = self.cells, derivatives.tie
        tie_slope = None if tie is None else float(cells.counts[2].sum() - cells.total @ tie)
        gradient = cells.gradient((cells.lead - cells.total * derivatives.lead) / 2, tie_slope)
        held = self.held(parameters)
        gradient[: len(held)] -= self.phantom * np.tanh(held / 2)
        return gradient

    def information(self, parameters: Floats, derivatives: Derivatives) -> Floats:
        total, tie = self.cells.total, derivatives.tie
        cross = None if tie is None else total * derivatives.lead * tie / -2
        own = 0.0 if tie is None else float(total @ (tie * (1 - tie)))
        information = self.cells.quadratic(total * derivatives.curvature, cross, own)
        held = self.held(parameters)
        diagonal = np.arange(len(held))
        information[diagonal, diagonal] += self.phantom / (2 * np.cosh(held / 2) ** 2)
        if not self.phantom:
            information[: self.cells.contestants, : self.cells.contestants] += 1 / self.cells.contestants
        return information


@dataclass(frozen=True, eq=False)
class Estimate:
    """Args:
    objective: what was climbed.
    parameters: (P,) λ_1 … λ_K, then the effects (position, covariates), then η = ln ν if the model has ties.
    derivatives: of the votes alone, at the estimate.
    log_likelihood: of votes and phantom votes, in nats.
    """

    objective: Objective
    parameters: Floats
    derivatives: Derivatives
    log_likelihood: float
    iterations: int
    converged: bool

    @property
    def cells(self) -> Cells:
        return self.objective.cells

    @cached_property
    def information(self) -> Floats:
        """(P, P) of votes and phantom votes together, at the estimate."""
        return self.objective.information(self.parameters, self.derivatives)


def maximise(objective: Objective, start: Floats | None = None, *, tolerance: float = TOLERANCE) -> Estimate:
    """Newton's method, halving a step that would lower the likelihood (which is concave, so it cannot be led astray).

    `converged` is False when the likelihood has no finite maximum, which takes `phantom` 0.
    """
    parameters = objective.start() if start is None else start
    derivatives = objective.derivatives(parameters)
    value = objective.value(parameters, derivatives)
    converged = False
    iterations = 0
    while not converged and iterations < MOST_ITERATIONS:
        iterations += 1
        gradient = objective.gradient(parameters, derivatives)
        try:
            step = np.asarray(np.linalg.solve(objective.information(parameters, derivatives), gradient), np.float64)
        except np.linalg.LinAlgError:
            break
        parameters, derivatives, value, moved = _climb(objective, parameters, step, value)
        converged = moved <= tolerance
    return Estimate(
        objective=objective,
        parameters=parameters,
        derivatives=derivatives,
        log_likelihood=value,
        iterations=iterations,
        converged=converged,
    )


def _climb(
    objective: Objective, parameters: Floats, step: Floats, value: float
) -> tuple[Floats, Derivatives, float, float]:
    """The longest of step, step/2, step/4 … that does not lower the likelihood beyond rounding."""
    rounding = 1e-12 * (1 + abs(value))
    length = float(np.abs(step).max())
    while True:
        reached: Floats = parameters + step
        derivatives = objective.derivatives(reached)
        new_value = objective.value(reached, derivatives)
        if new_value >= value - rounding or length <= TOLERANCE:
            return reached, derivatives, new_value, length
        step, length = step / 2, length / 2


@dataclass(frozen=True, eq=False)
class Fitted:
    """What could be fitted.

    Args:
        estimate: None where the votes have no finite fit.
        votes: those that the estimate rests on.
        effects: the names of its effects, in order: "position", then covariates.
        notices: what was left out, as sentences.
    """

    estimate: Estimate | None
    votes: Votes
    effects: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@one_thread
def fit_votes(votes: Votes, contestants: int, *, model: Model, position: bool, phantom: float) -> Fitted:
    """Fits as much of the model as the votes can tell.

    Covariates are divided by their root mean square, so that an effect is that of a typical difference, and not
    centred: they change sign when the sides are swapped.
    """
    if not len(votes):
        return Fitted(None, votes)
    covariates = {name: _scaled(column) for name, column in votes.covariates.items()}
    cells = Cells.tally(votes, contestants, position=position, covariates=covariates)
    left, right, tied = cells.counts.sum(axis=1)
    if model == "davidson" and left + right == 0:
        # With ν unbounded, ties say nothing of strengths: the phantom votes alone remain.
        none = votes.only(votes.outcome <= RIGHT)
        cells = Cells.tally(none, contestants, position=False, covariates={})
        return Fitted(maximise(Objective(cells, ties=False, phantom=phantom)) if phantom else None, none)
    names, notices = ["position"] * position + list(covariates), []
    if position and (obstacle := position_obstacle(left, right)):
        names, cells = names[1:], replace(cells, effects=cells.effects[1:])
        notices.append(obstacle)
    untold = aliased(cells)
    notices += [_untold_notice(name) for name, which in zip(names, untold, strict=True) if which]
    names = [name for name, which in zip(names, untold, strict=True) if not which]
    cells = replace(cells, effects=cells.effects[[not which for which in untold]])
    ties = model == "davidson" and bool(tied > 0)
    estimate = maximise(Objective(cells, ties, phantom))
    if not estimate.converged and names:
        notices.append(
            f"The effect of {' and '.join(names)} has no finite estimate and was left out; use phantom votes."
        )
        names, cells = [], replace(cells, effects=cells.effects[:0])
        estimate = maximise(Objective(cells, ties, phantom))
    if not estimate.converged:
        notices.append("These votes have no finite maximum-likelihood ratings, so none is shown; use phantom votes.")
        return Fitted(None, votes, notices=tuple(notices))
    return Fitted(estimate, votes, tuple(names), tuple(notices))


def _scaled(column: Floats) -> Floats:
    """Divided by its root mean square; first by its largest value, whose square may be out of range."""
    largest = np.abs(column).max()
    if not largest > 0:
        return column
    unit = column / largest
    return np.asarray(unit / np.sqrt(np.mean(unit**2)))


def _untold_notice(effect: str) -> str:
    if effect == "position":
        return (
            "The sides were never changed enough to tell a position effect from the contestants' strengths, so it was "
            "left out; show each pair both ways round."
        )
    return (
        f"The covariate {effect} never varied within a contestant enough to tell its effect from the strengths, so it "
        "was left out; compare outputs that differ in it."
    )
