"""Run every benchmark, or those named on the command line; the exit status is 1 when a goal is missed."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from math import isfinite
from statistics import median

from tests import benchmarks
from tests.benchmarks import Claim, Measure


def main(wanted: list[str]) -> int:
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    if unknown := set(wanted) - set(known):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    missed = 0
    for name in wanted or known:
        for one in importlib.import_module(f"tests.benchmarks.{name}").measure():
            missed += not one.reached
            print(f"{name}: {line(one)}", flush=True)
    return 1 if missed else 0


def line(one: Measure | Claim) -> str:
    if isinstance(one, Claim):
        return _claim(one)
    goal = "" if one.goal is None else f" (goal {one.goal:g}: {'reached' if one.reached else 'MISSED'})"
    figures = f"{_amount(one.ours, one.unit)}; {one.peer}: {_amount(one.theirs, one.unit)}; ratio {one.ratio:.2f}{goal}"
    return f"{one.what}: {figures}{'; ' + one.note if one.note else ''}"


def _claim(one: Claim) -> str:
    limits = [f"{word} {limit:g}" for word, limit in (("at least", one.low), ("at most", one.high)) if isfinite(limit)]
    goal = f" (goal {' and '.join(limits)}: {'reached' if one.reached else 'MISSED'})" if limits else ""
    figure = f"{one.value:.4g} {one.unit}".rstrip()
    return f"{one.what}: {figure}{goal}{'; ' + one.note if one.note else ''}"


def _amount(readings: Sequence[float], unit: str) -> str:
    lowest, highest = min(readings), max(readings)
    spread = f" [{lowest:.3g}–{highest:.3g}]" if len(readings) > 1 else ""
    return f"{median(readings):.3g} {unit}{spread}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
