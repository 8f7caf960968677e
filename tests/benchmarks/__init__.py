"""`make bench`: what EvalHub does beside what a peer, or the limit, does with the same data on the same machine in the
same run. Machines are noisy: both are measured in turn, several times, and compared by their medians."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median


@dataclass(frozen=True)
class Measure:
    """One comparison. A module of this package yields them from a function `measure()`; it is found by that.

    Attributes:
        what: the work that both did, with its size.
        ours, theirs: readings of the same quantity, less being better: seconds, or bytes.
        peer: whose reading `theirs` is: another tool, or the limit.
        goal: the least that `ratio` should be; None where there is nothing to reach.
        note: what a reader must know beside the figures, agreement of the results for example.
    """

    what: str
    ours: Sequence[float]
    peer: str
    theirs: Sequence[float]
    goal: float | None
    unit: str = "s"
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times as much the peer needs."""
        return median(self.theirs) / median(self.ours)

    @property
    def reached(self) -> bool:
        return self.goal is None or self.ratio >= self.goal


@dataclass(frozen=True)
class Claim:
    """A promise tried where the truth is known: one figure, which should be from `low` to `high`."""

    what: str
    value: float
    low: float = -inf
    high: float = inf
    unit: str = ""
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.low <= self.value <= self.high


def seconds(do: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def alternately(*works: Callable[[], object], times: int = 5, warm: bool = True) -> list[list[float]]:
    """The seconds of each work in each of several rounds; a first round, not counted, warms caches where `warm`."""
    if warm:
        for work in works:
            work()
    rounds = [[seconds(work) for work in works] for _ in range(times)]
    return [list(readings) for readings in zip(*rounds, strict=True)]
