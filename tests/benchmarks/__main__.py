"""Run every benchmark, or those named on the command line; the exit status is 1 when a ratio is above its limit."""

import importlib
import pkgutil
import sys

from tests import benchmarks


def main(wanted: list[str]) -> int:
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    if unknown := set(wanted) - set(known):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    above = 0
    for name in wanted or known:
        for one in importlib.import_module(f"tests.benchmarks.{name}").measure():
            above += one.ratio > one.limit
            verdict = "ABOVE its limit" if one.ratio > one.limit else "within its limit"
            print(
                f"{name}: {one.what}: {one.ours:.3g} s; {one.peer}: {one.theirs:.3g} s; "
                f"ratio {one.ratio:.2f}, {verdict} {one.limit:g}",
                flush=True,
            )
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
