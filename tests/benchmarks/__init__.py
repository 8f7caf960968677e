"""`make bench`: what EvalHub does beside what a peer does with the same data, on the same machine, in the same run."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """Seconds of both, and the most that `ours / theirs` may be.

    A module of this package yields them from a function `measure()`; `python -m tests.benchmarks` finds it by that.
    """

    what: str
    ours: float
    peer: str
    theirs: float
    limit: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def seconds(do: Callable[[], object], times: int = 3) -> float:
    """The shortest of several runs: what the work takes when nothing else gets in its way."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return min(taken)
