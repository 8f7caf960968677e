"""Maximum likelihood by damped Newton on tallied votes, with phantom votes that keep every estimate finite."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from raters.ranking.connections import aliased, position_obstacle
from raters.ranking.likelihood import Cells, Derivatives, bradley_terry, davidson
from raters.ranking.votes import RIGHT, Floats, Votes

Model = Literal["davidson", "bradley-terry"]

TOLERANCE = 1e-9  # largest last Newton step, in natural-log units
MOST_ITERATIONS = 30  # a likelihood without a finite maximum climbs for ever, by about one unit a step


@dataclass(frozen=True, eq=False)
class Estimate:
    """Args:
    parameters: (P,) λ_1 … λ_K, then the effects (position, covariates), then η = ln ν if the model has ties.
    information: (P, P) of votes and phantom votes together, at the estimate.
    derivatives: of the votes alone, at the estimate.
    log_likelihood: of votes and phantom votes, in nats.
    """

    cells: Cells
    parameters: Floats
    information: Floats
    derivatives: Derivatives
    log_likelihood: float
    iterations: int
    converged: bool


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
        held = self.cells.held
        if not self.ties:
            return np.zeros(held)
        decisive, tied = self.cells.counts[:2].sum(), self.cells.counts[2].sum()
        return np.append(np.zeros(held), np.log(2 * tied / decisive))

    def derivatives(self, parameters: Floats) -> Derivatives:
        u = self.cells.predictor(parameters)
        return (
            davidson(self.cells.counts, u, float(parameters[-1])) if self.ties else bradley_terry(self.cells.counts, u)
        )

    def held(self, parameters: Floats) -> Floats:
        """The parameters that phantom votes hold: strengths and effects, not the ties."""
        return parameters[: self.cells.held]

    def value(self, parameters: Floats, derivatives: Derivatives) -> float:
        held = self.held(parameters)
        return derivatives.value - self.phantom * float(np.logaddexp(0, held).sum() + np.logaddexp(0, -held).sum())

    def gradient(self, parameters: Floats, derivatives: Derivatives) -> Floats:
        counts = self.cells.counts
        tie_slope = None if derivatives.tie_slope is None else (counts * derivatives.tie_slope).sum(axis=0)
        gradient = self.cells.gradient((counts * derivatives.slope).sum(axis=0), tie_slope)
        held = self.held(parameters)
        gradient[: len(held)] -= self.phantom * np.tanh(held / 2)
        return gradient

    def information(self, parameters: Floats, derivatives: Derivatives) -> Floats:
        total = self.cells.counts.sum(axis=0)
        cross = None if derivatives.cross is None else total * derivatives.cross
        tie = None if derivatives.tie_curvature is None else total * derivatives.tie_curvature
        information = self.cells.quadratic(total * derivatives.curvature, cross, tie)
        held = self.held(parameters)
        diagonal = np.arange(len(held))
        information[diagonal, diagonal] += self.phantom / (2 * np.cosh(held / 2) ** 2)
        if not self.phantom:
            information[: self.cells.contestants, : self.cells.contestants] += 1 / self.cells.contestants
        return information


def maximise(objective: Objective, start: Floats | None = None) -> Estimate:
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
        converged = moved <= TOLERANCE
    return Estimate(
        cells=objective.cells,
        parameters=parameters,
        information=objective.information(parameters, derivatives),
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


def fit_votes(votes: Votes, contestants: int, *, model: Model, position: bool, phantom: float) -> Fitted:
    """Fits as much of the model as the votes can tell.

    Covariates are divided by their root mean square, so that an effect is that of a typical difference, and not
    centred: they change sign when the sides are swapped.
    """
    if not len(votes):
        return Fitted(None, votes)
    tied = votes.outcome > RIGHT
    if model == "davidson" and tied.all():
        # With ν unbounded, ties say nothing of strengths: the phantom votes alone remain.
        none = votes.only(~tied)
        cells = Cells.tally(none, contestants, position=False, covariates={})
        return Fitted(maximise(Objective(cells, ties=False, phantom=phantom)) if phantom else None, none)
    notices = []
    if position and (obstacle := position_obstacle(votes)):
        position = False
        notices.append(obstacle)
    scales = {name: float(np.sqrt(np.mean(column**2))) or 1.0 for name, column in votes.covariates.items()}
    covariates = {name: column / scales[name] for name, column in votes.covariates.items()}
    cells = Cells.tally(votes, contestants, position=position, covariates=covariates)
    names = ["position"] * position + list(covariates)
    untold = aliased(cells)
    notices += [_untold_notice(name) for name, which in zip(names, untold, strict=True) if which]
    names = [name for name, which in zip(names, untold, strict=True) if not which]
    cells = replace(cells, effects=cells.effects[[not which for which in untold]])
    ties = model == "davidson" and bool(tied.any())
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
