"""Votes drawn from known strengths, with raters and prompts that have tastes of their own, and what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raters.ranking import Ranking, Votes, find_trust, pair_probabilities, rank
from raters.ranking.fit import Objective, maximise
from raters.ranking.likelihood import Cells, outcome_probabilities
from raters.ranking.ranking import ELO

Floats = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
NO_VOTES = Votes(*np.zeros((3, 0), dtype=np.int64))


def answers(gaps: Floats, tie: float, random: np.random.Generator) -> NDArray[np.int64]:
    """One outcome per gap between left and right, natural-log units, from Davidson's model."""
    chances = outcome_probabilities(gaps, tie)
    return np.asarray((random.random(len(gaps)) > np.cumsum(chances, axis=0)[:2]).sum(axis=0), dtype=np.int64)


def limit(first: NDArray[np.int64], second: NDArray[np.int64], chances: Floats, contestants: int) -> Floats:
    """(K,) strengths, mean 0, that ever more votes on these ordered pairs tend to; `chances` is (3, pairs)."""
    cells = Cells(first, second, 1000 * chances, contestants, np.ones((1, len(first))), NO_VOTES)
    parameters = maximise(Objective(cells, ties=True, phantom=0.0)).parameters[:contestants]
    return np.asarray(parameters - parameters.mean())


def all_pairs(contestants: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every ordered pair of two."""
    first, second = (side.ravel() for side in np.indices((contestants, contestants)))
    return first[first != second], second[first != second]


# Ten contestants, two by two alike: whichever of two equals is called better, the verdict is false.
TWINS = np.repeat([-1.6, -0.8, 0.0, 0.8, 1.6], 2)

# What the row's contestant has over the column's: a scale, but the last, weak against all others, beats the first two.
CIRCULAR = np.subtract.outer(np.linspace(2.5, -2.5, 6), np.linspace(2.5, -2.5, 6))
CIRCULAR[5, :2] += (6.0, 5.0)
CIRCULAR[:2, 5] -= (6.0, 5.0)


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
        outcome = answers(own[rows, left] - own[rows, right] + self.position, self.tie, random)
        return Votes(left, right, outcome, rater, prompt)

    def target(self) -> Floats:
        """What the fit tends to with ever more raters and prompts: tastes even the choices out. Mean 0."""
        first, second = all_pairs(len(self.strengths))
        gap = np.asarray(self.strengths)[first] - np.asarray(self.strengths)[second] + self.position
        noise = np.sqrt(2 * (self.rater_spread**2 + self.prompt_spread**2)) * NODES
        chances = outcome_probabilities(gap[:, None] + noise, self.tie) @ (WEIGHTS / WEIGHTS.sum())
        return limit(first, second, chances, len(self.strengths))


def coverage(world: World, each: int, runs: int, seed: int = 7, **settings: Any) -> tuple[float, float]:
    """The share of 95 % intervals over the truth, and of runs in which every rank interval is."""
    truth, random = world.target(), np.random.default_rng(seed)
    places = {world.names[i]: place + 1 for place, i in enumerate(np.argsort(-truth))}
    truths = dict(zip(world.names, truth, strict=True))
    covered, ranked = [], []
    for _ in range(runs):
        rows = rank(world.votes(random, each), world.names, scale="log", **settings).rows
        bounds = np.array([(row.low, row.high, row.rank_low, row.rank_high) for row in rows], dtype=float)
        held = np.array([(truths[row.name], places[row.name]) for row in rows])
        covered += list((bounds[:, 0] <= held[:, 0]) & (held[:, 0] <= bounds[:, 1]))
        ranked.append(((bounds[:, 2] <= held[:, 1]) & (held[:, 1] <= bounds[:, 3])).all())
    return float(np.mean(covered)), float(np.mean(ranked))


def uniform_ratings(gaps: Floats) -> Floats:
    """(K,) strengths, mean 0, that ever more votes on uniformly drawn pairs tend to."""
    first, second = all_pairs(len(gaps))
    return limit(first, second, outcome_probabilities(gaps[first, second], 0.5), len(gaps))


@dataclass(frozen=True, eq=False)
class Look:
    """A ranking in the middle of a study, its votes, and the propensity of each."""

    ranking: Ranking
    votes: Votes
    propensity: Floats


def adaptive_looks(gaps: Floats, names: tuple[str, ...], looks: int, each: int, seed: int) -> Iterator[Look]:
    """A ranking after every `each` votes, whose pairs are drawn by expected information under the ranking before.

    Args:
        gaps: (K, K) what the row's contestant has over the column's, natural-log units; no scale need be behind it.
    """
    k, random = len(names), np.random.default_rng(seed)
    votes, propensity = NO_VOTES, np.zeros(0)
    chances = pair_probabilities(votes.pair_counts(k))
    for _ in range(looks):
        upper = np.triu(chances, 1).ravel()
        drawn = random.choice(k * k, each, p=upper / upper.sum())
        pairs = random.permuted(np.column_stack(np.divmod(drawn, k)), axis=1)
        said = answers(gaps[pairs[:, 0], pairs[:, 1]], 0.5, random)
        columns = zip((votes.left, votes.right, votes.outcome), (*pairs.T, said), strict=True)
        votes = Votes(*(np.append(before, new) for before, new in columns))
        propensity = np.append(propensity, upper[drawn])
        latest = rank(votes, names, position=False, cluster=())
        yield Look(latest, votes, propensity)
        chances = pair_probabilities(
            votes.pair_counts(k), strengths=latest.strengths, covariance=latest.covariance, tie=latest.tie.value or 0.0
        )


# At random, nearly always left, and mostly ties: answers of the careless, whatever they are shown.
HABITS = np.array([[0.45, 0.45, 0.1], [0.95, 0.03, 0.02], [0.3, 0.3, 0.4]])


def with_careless(world: World, share: float, habits: Floats, each: int, seed: int) -> tuple[Votes, NDArray[np.bool_]]:
    """Votes of which the first raters' are careless; (raters,) who these are."""
    random = np.random.default_rng(seed)
    votes, careless = world.votes(random, each), np.arange(world.raters) < share * world.raters
    assert votes.rater is not None
    habit = np.cumsum(habits[votes.rater % len(habits)], axis=1)
    blind = (random.random((len(votes), 1)) > habit[:, :2]).sum(axis=1)
    return replace(votes, outcome=np.where(careless[votes.rater], blind, votes.outcome)), careless


@dataclass(frozen=True)
class Found:
    """How well the careless were told apart: the area under the curve, and the ratings' root mean square errors, Elo,
    with all votes alike, weighed by trust, and without the careless (whom nobody knows)."""

    area: float
    naive: float
    weighed: float
    oracle: float


def look_for_careless(world: World, share: float, habits: Floats, each: int, seed: int) -> Found:
    votes, careless = with_careless(world, share, habits, each, seed)
    assert votes.rater is not None
    trust, truth = find_trust(votes, world.names), world.target()
    assert trust.converged
    lapse = np.array([rater.lapse for rater in trust.raters], dtype=float)
    above = lapse[careless][:, None] - lapse[~careless][None, :]

    def error(these: Votes) -> float:
        return float(np.sqrt(np.mean((rank(these, world.names, cluster=()).strengths - truth) ** 2)) * ELO)

    return Found(
        area=float(np.mean(above > 0) + np.mean(above == 0) / 2),
        naive=error(votes),
        weighed=error(trust.weigh(votes)),
        oracle=error(votes.only(~careless[votes.rater])),
    )
