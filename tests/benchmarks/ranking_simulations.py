"""What the ranking promises, tried on thousands of simulated studies whose truth is known. Scaled copies with fixed
seeds are among the tests in tests/ranking."""

from collections.abc import Iterator

import numpy as np

from raters.ranking import find_separations, propensity_weights, rank
from raters.ranking.ranking import ELO
from tests.benchmarks import Claim
from tests.ranking.simulated import (
    CIRCULAR,
    HABITS,
    TWINS,
    Floats,
    World,
    adaptive_looks,
    coverage,
    look_for_careless,
    uniform_ratings,
)

RUNS = 2_000
SPREAD = tuple(np.linspace(-0.8, 0.8, 6))
FIELD = World(tuple(np.linspace(-1.6, 1.6, 10)), raters=400, prompts=60, rater_spread=0.0, prompt_spread=0.0)
NAMES = tuple("abcdefghij")


def measure(runs: int = RUNS) -> Iterator[Claim]:
    """`runs` simulated studies of each kind."""
    yield from _coverage(runs)
    yield _false_verdicts(runs)
    yield from _careless(runs)
    yield from _inverse_propensities(runs)


def _coverage(runs: int) -> Iterator[Claim]:
    tastes = "raters and prompts with tastes of their own (SD 122 Elo each)"
    for raters, prompts, each, least in ((40, 40, 25, 93.0), (100, 60, 20, 93.0), (6, 60, 150, 92.0)):
        share, ranks = coverage(World(SPREAD, raters=raters, prompts=prompts), each, runs)
        yield Claim(
            f"{runs:,} studies, {raters} raters, {prompts} prompts, {tastes}: coverage of nominal 95 % intervals",
            100 * share,
            low=least,
            high=97.0 if raters > 6 else np.inf,
            unit="%",
            note=f"all rank intervals together {100 * ranks:.1f} %",
        )


def _false_verdicts(runs: int, looks: int = 30) -> Claim:
    gaps, place = np.subtract.outer(TWINS, TWINS), {name: i for i, name in enumerate(NAMES)}

    def wrong(upper: str, lower: str) -> bool:
        return bool(gaps[place[upper], place[lower]] <= 0)

    false = naive = 0
    for seed in range(runs):
        said, naively = False, False
        for look in adaptive_looks(gaps, NAMES, looks, 50, seed):
            for pair in find_separations(look.ranking):
                if wrong(pair.upper, pair.lower):
                    said |= pair.verdict == "separated"
                    plain = look.ranking.difference(pair.upper, pair.lower)
                    naively |= plain is not None and plain.low > 0
        false, naive = false + said, naive + naively
    return Claim(
        f"{runs:,} studies of ten contestants, pairs chosen by information, looked at {looks} times, every 50 votes: "
        "studies with any false verdict on neighbours",
        100 * false / runs,
        high=5.0,
        unit="%",
        note=f"by plain 95 % intervals {100 * naive / runs:.1f} %",
    )


def _careless(runs: int) -> Iterator[Claim]:
    found = [look_for_careless(FIELD, 0.15, HABITS, each=40, seed=seed) for seed in range(runs)]
    what = f"{runs:,} studies of 400 raters with 40 votes, 15 % of them careless"
    yield Claim(
        f"{what}: area under the curve of the lapse probability, mean",
        float(np.mean([one.area for one in found])),
        low=0.95,
        note=f"lowest {min(one.area for one in found):.3f}",
    )
    naive, weighed, oracle = np.mean([(one.naive, one.weighed, one.oracle) for one in found], axis=0)
    yield Claim(
        f"{what}: error of ratings weighed by trust over that without the careless",
        float(weighed / oracle),
        high=1.15,
        note=f"RMSE {weighed:.1f} Elo, {oracle:.1f} without the careless, {naive:.1f} with all votes alike",
    )


def _inverse_propensities(runs: int, looks: int = 8, each: int = 500) -> Iterator[Claim]:
    names, truth = NAMES[: len(CIRCULAR)], uniform_ratings(CIRCULAR)
    plain, weighed, held = [], [], []
    for seed in range(runs):
        *_, last = adaptive_looks(CIRCULAR, names, looks, each, seed)
        again = rank(
            propensity_weights(last.propensity).weigh(last.votes), names, position=False, cluster=(), scale="log"
        )
        plain.append(last.ranking.strengths)
        weighed.append(again.strengths)
        bounds = {row.name: (row.low, row.high) for row in again.rows}
        low, high = np.array([bounds[name] for name in names], dtype=float).T
        held.append((low <= truth) & (truth <= high))

    def bias(estimates: list[Floats]) -> float:
        return float(ELO * np.abs(np.mean(estimates, axis=0) - truth).max())

    what = f"{runs:,} studies of {looks * each:,} votes on pairs chosen by information, no scale being true"
    yield Claim(
        f"{what}: largest mean error of an inverse-propensity rating against uniform sampling's",
        bias(weighed),
        high=5.0,
        unit="Elo",
        note=f"unweighted {bias(plain):.1f} Elo",
    )
    yield Claim(f"{what}: coverage of its 95 % intervals", 100 * float(np.mean(held)), low=93.0, high=97.0, unit="%")
