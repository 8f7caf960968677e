"""Votes drawn from known strengths, with raters and prompts that have tastes of their own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raters.ranking import Votes
from raters.ranking.fit import Objective, maximise
from raters.ranking.likelihood import Cells, outcome_probabilities

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)


@dataclass(frozen=True)
class World:
    """Strengths in natural-log units; a rater and a prompt each shift every contestant by a normal amount."""

    strengths: tuple[float, ...]
    tie: float = 0.5
    position: float = 0.1
    raters: int = 40
    prompts: int = 60
    rater_spread: float = 0.7
    prompt_spread: float = 0.7

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"m{i}" for i in range(len(self.strengths)))

    def votes(self, random: np.random.Generator, each: int) -> Votes:
        """`each` votes by every rater, on random prompts and pairs."""
        k, n = len(self.strengths), self.raters * each
        rater, prompt = np.repeat(np.arange(self.raters), each), random.integers(0, self.prompts, n)
        left = random.integers(0, k, n)
        right = (left + random.integers(1, k, n)) % k
        taste = random.normal(0, self.rater_spread, (self.raters, k))
        fit = random.normal(0, self.prompt_spread, (self.prompts, k))
        own = np.asarray(self.strengths) + taste[rater] + fit[prompt]
        rows = np.arange(n)
        chances = outcome_probabilities(own[rows, left] - own[rows, right] + self.position, self.tie)
        outcome = (random.random(n) > np.cumsum(chances, axis=0)[:2]).sum(axis=0)
        return Votes(left, right, outcome, rater, prompt)

    def target(self) -> NDArray[np.float64]:
        """What the fit tends to with ever more raters and prompts: tastes even the choices out. Mean 0."""
        k = len(self.strengths)
        first, second = (side.ravel() for side in np.indices((k, k)))
        first, second = first[first != second], second[first != second]
        gap = np.asarray(self.strengths)[first] - np.asarray(self.strengths)[second] + self.position
        noise = np.sqrt(2 * (self.rater_spread**2 + self.prompt_spread**2)) * NODES
        chances = outcome_probabilities(gap[:, None] + noise, self.tie) @ (WEIGHTS / WEIGHTS.sum())
        cells = Cells(
            first, second, 1000 * chances, k, np.ones((1, len(first))), Votes(*np.zeros((3, 0), dtype=np.int64))
        )
        parameters = maximise(Objective(cells, ties=True, phantom=0.0)).parameters[:k]
        return np.asarray(parameters - parameters.mean())
