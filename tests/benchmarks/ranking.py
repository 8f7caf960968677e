"""Ratings with 95 % intervals from 200,000 votes: our sandwich over raters and prompts, evalica's bootstrap."""

from collections.abc import Iterator

import evalica
import numpy as np

from raters.ranking import Votes, rank
from tests.benchmarks import Measure, alternately

VOTES, CONTESTANTS, RESAMPLES = 200_000, 12, 100
WINNERS = (evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw)


def measure() -> Iterator[Measure]:
    random = np.random.default_rng(1)
    strength = random.normal(0, 0.7, CONTESTANTS)
    left = random.integers(CONTESTANTS, size=VOTES)
    right = (left + 1 + random.integers(CONTESTANTS - 1, size=VOTES)) % CONTESTANTS
    left_wins = random.random(VOTES) < 1 / (1 + np.exp(strength[right] - strength[left]))
    outcome = np.where(random.random(VOTES) < 0.1, 2, np.where(left_wins, 0, 1))
    votes = Votes(left, right, outcome, random.integers(200, size=VOTES), random.integers(500, size=VOTES))
    names = [f"c{number}" for number in range(CONTESTANTS)]
    columns = [names[code] for code in left], [names[code] for code in right], [WINNERS[code] for code in outcome]

    def bootstrapped() -> object:
        method = evalica.bradley_terry
        return evalica.bootstrap(method, *columns, n_resamples=RESAMPLES, bootstrap_method="percentile", random_state=1)

    ours, theirs = alternately(lambda: rank(votes, names), bootstrapped, times=1, warm=False)
    yield Measure(
        f"rate {CONTESTANTS} contestants with intervals from {VOTES:,} votes",
        ours,
        f"evalica, {RESAMPLES} resamples",
        theirs,
        goal=1.0,
    )
