"""Ratings of 200 contestants from 1,000,000 votes: ours beside evalica's, choix's and arena-rank's.

Every tool starts from the same columns, once as lists of words and once as arrays of integer codes, and what it does to
bring them into its own form is part of the time. Fits are of the same model: Bradley–Terry with half-win ties (choix,
which knows no ties, gets the decided votes) or Davidson's, without position effect and without phantom votes.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import choix
import evalica
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raters.ranking import OUTCOMES, Votes, bootstrap, rank
from raters.ranking.fit import Model, fit_votes
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.ranking import ELO
from raters.ranking.votes import LEFT, RIGHT
from tests.benchmarks import Measure, alternately, seconds
from tests.benchmarks._arena_rank import ArenaRank

VOTES, CONTESTANTS, RATERS, PROMPTS = 1_000_000, 200, 5_000, 2_000
RESAMPLES, ROUNDS = 100, 5
CHOIX = "choix.ilsr_pairwise"
WINNERS = (evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw, evalica.Winner.Draw)

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Columns:
    """Votes as integer codes, and the same as words."""

    names: tuple[str, ...]
    left: Codes
    right: Codes
    outcome: Codes
    rater: Codes
    prompt: Codes

    @classmethod
    def simulated(cls, votes: int, contestants: int) -> "Columns":
        """From Davidson's model; some contestants are shown much more often than others."""
        random = np.random.default_rng(1)
        strength, shown = random.normal(0, 1, contestants), random.dirichlet(np.full(contestants, 2.0))
        left = random.choice(contestants, votes, p=shown)
        right = (left + random.integers(1, contestants, votes)) % contestants
        chances = outcome_probabilities(strength[left] - strength[right], 0.5)
        return cls(
            names=tuple(f"checkpoint-{number:03}" for number in range(contestants)),
            left=left,
            right=right,
            outcome=(random.random(votes) > np.cumsum(chances, axis=0)[:2]).sum(axis=0),
            rater=random.integers(0, RATERS, votes),
            prompt=random.integers(0, PROMPTS, votes),
        )

    @cached_property
    def words(self) -> tuple[list[str], ...]:
        """left, right, outcome, rater, prompt."""
        sides = ([self.names[code] for code in side.tolist()] for side in (self.left, self.right))
        outcome = [OUTCOMES[code] for code in self.outcome.tolist()]
        return *sides, outcome, [f"r{code}" for code in self.rater], [f"p{code}" for code in self.prompt]

    def votes(self, kind: str, clustered: bool = False) -> Votes:
        """Ours, from one of the two forms."""
        if kind == "codes":
            rater, prompt = (self.rater, self.prompt) if clustered else (None, None)
            return Votes(self.left, self.right, self.outcome, rater, prompt)
        left, right, outcome, raters, prompts = self.words
        known, seen = (raters, prompts) if clustered else (None, None)
        return Votes.from_labels(left, right, outcome, rater=known, prompt=seen, names=self.names)[0]

    def for_evalica(self, kind: str) -> tuple[Sequence[object] | Codes, Sequence[object] | Codes, list[evalica.Winner]]:
        if kind == "codes":
            return self.left, self.right, [WINNERS[code] for code in self.outcome.tolist()]
        meaning = dict(zip(OUTCOMES, WINNERS, strict=True))
        return self.words[0], self.words[1], [meaning[word] for word in self.words[2]]

    def index(self, kind: str) -> pd.Index:
        """Who the contestants are; it spares evalica, as `names` spares us, to look for them."""
        return pd.Index(range(len(self.names)) if kind == "codes" else self.names)

    def for_choix(self, kind: str) -> list[tuple[int, int]]:
        """Winner and loser of each decision."""
        if kind == "codes":
            columns = [column.tolist() for column in (self.left, self.right, self.outcome)]
        else:
            places = {name: code for code, name in enumerate(self.names)}
            meaning = {word: code for code, word in enumerate(OUTCOMES)}
            codes = zip(self.words, (places, places, meaning), strict=False)
            columns = [[code[word] for word in column] for column, code in codes]
        return [(a, b) if said == LEFT else (b, a) for a, b, said in zip(*columns, strict=True) if said <= RIGHT]


def measure(votes: int = VOTES, contestants: int = CONTESTANTS, rounds: int = ROUNDS) -> Iterator[Measure]:
    columns = Columns.simulated(votes, contestants)
    size = f"{votes:,} votes × {contestants} contestants"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "votes.npz"
        np.savez(file, names=columns.names, left=columns.left, right=columns.right, outcome=columns.outcome)
        arena = ArenaRank(file)
        try:
            for kind in ("labels", "codes"):
                yield from _fits(columns, arena, kind, size, rounds)
                yield _intervals(columns, arena, kind, size, rounds)
                yield _bootstraps(columns, kind, size)
        finally:
            arena.close()


def _fits(columns: Columns, arena: ArenaRank, kind: str, size: str, rounds: int) -> Iterator[Measure]:
    k = len(columns.names)

    def ours(model: Model, decided: bool = False) -> Floats:
        votes = columns.votes(kind)
        if decided:
            votes = votes.only(votes.outcome <= RIGHT)
        fitted = fit_votes(votes, k, model=model, position=False, phantom=0)
        assert fitted.estimate is not None
        return fitted.estimate.parameters[:k]

    def by_evalica(method: Callable[..., evalica.BradleyTerryResult | evalica.NewmanResult]) -> Floats:
        scores = method(*columns.for_evalica(kind), index=columns.index(kind)).scores.sort_index()
        return np.log(scores.to_numpy())

    def by_arena() -> Floats:
        ratings = arena.do("fit", kind)
        return np.array([ratings[name] for name in columns.names]) / ELO

    peers: dict[str, Callable[[], Floats]] = {
        "evalica.bradley_terry": lambda: by_evalica(evalica.bradley_terry),
        CHOIX: lambda: choix.ilsr_pairwise(k, columns.for_choix(kind)),
        "arena-rank": by_arena,
    }
    found, decided = ours("bradley-terry"), ours("bradley-terry", decided=True)
    apart = {name: _apart(decided if name == CHOIX else found, do()) for name, do in peers.items()}
    yield _fastest(f"Bradley–Terry from {kind}, {size}", lambda: ours("bradley-terry"), peers, apart, rounds)
    newman = {"evalica.newman": lambda: by_evalica(evalica.newman)}
    apart = {name: _apart(ours("davidson"), do()) for name, do in newman.items()}
    yield _fastest(f"Davidson from {kind}, {size}", lambda: ours("davidson"), newman, apart, rounds)


def _fastest(
    what: str,
    ours: Callable[[], Floats],
    peers: dict[str, Callable[[], Floats]],
    apart: dict[str, float],
    rounds: int,
) -> Measure:
    """Ours beside the fastest; the note says what the others took and how far results are apart, Elo."""
    own, *readings = alternately(ours, *peers.values(), times=rounds, warm=False)
    theirs = dict(zip(peers, readings, strict=True))
    best = min(theirs, key=lambda name: median(theirs[name]))
    others = [f"{name} {median(taken):.3g} s" for name, taken in theirs.items() if name != best]
    results = f"apart by at most {', '.join(f'{name} {elo:.2g} Elo' for name, elo in apart.items())}"
    return Measure(what, own, best, theirs[best], goal=5.0, note="; ".join([*others, results]))


def _intervals(columns: Columns, arena: ArenaRank, kind: str, size: str, rounds: int) -> Measure:
    def ours() -> object:
        votes = columns.votes(kind, clustered=True)
        return rank(votes, columns.names, model="bradley-terry", position=False, phantom=0)

    own, theirs = alternately(ours, lambda: arena.do("intervals", kind), times=rounds)
    note = "ours for ratings and ranks, clustered by rater and prompt; theirs for single ratings, votes independent"
    return Measure(f"intervals from {kind}, {size}", own, "arena-rank", theirs, goal=4.0, note=note)


def _bootstraps(columns: Columns, kind: str, size: str) -> Measure:
    def ours() -> Floats:
        votes, names = columns.votes(kind, clustered=True), columns.names
        drawn = bootstrap(votes, names, replicates=RESAMPLES, model="bradley-terry", position=False, phantom=0)
        return np.asarray(drawn.strengths.std(axis=0))

    def by_evalica() -> Floats:
        result = evalica.bootstrap(
            evalica.bradley_terry,
            *columns.for_evalica(kind),
            index=columns.index(kind),
            n_resamples=RESAMPLES,
            bootstrap_method="percentile",
            random_state=1,
        )
        scores = np.log(result.distribution[sorted(result.distribution)].to_numpy())
        return (scores - scores.mean(axis=1, keepdims=True)).std(axis=0)

    errors: list[Floats] = []
    theirs = [seconds(lambda: errors.append(by_evalica()))]
    own = [seconds(lambda: errors.append(ours())) for _ in range(3)]
    ratio = float(np.median(errors[1] / errors[0]))
    note = f"ours draws raters, theirs votes; ours over their standard errors, which should agree here: {ratio:.2f}"
    return Measure(f"{RESAMPLES} bootstraps from {kind}, {size}", own, "evalica", theirs, goal=20.0, note=note)


def _apart(first: Floats, second: Floats) -> float:
    """The largest difference of ratings, Elo, both centred."""
    return float(ELO * np.abs((first - first.mean()) - (second - second.mean())).max())
