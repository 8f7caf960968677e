"""Two workers of one core each beside one of them, over the same shards."""

import json
import os
from collections.abc import Iterator
from subprocess import Popen

from tests.benchmarks import Measure, alternately
from tests.benchmarks._engine import ROUNDS, Material, material, start

ROWS = int(os.environ.get("BENCH_ROWS", "512"))


def measure() -> Iterator[Measure]:
    with material(64, clip=False) as files:
        took: dict[int, list[float]] = {1: [], 2: []}
        alternately(
            lambda: took[1].append(_slowest(files, 1)),
            lambda: took[2].append(_slowest(files, 2)),
            times=ROUNDS,
            warm=False,
        )
    yield Measure(
        f"Inception features of {ROWS:,} photographs by two workers with one core each",
        took[2],
        "one such worker",
        took[1],
        goal=1.8,
        note="from the moment both have loaded their network until the slower one is done",
    )


def _slowest(files: Material, workers: int) -> float:
    """The seconds until the last of them is done, each with its share of the rows."""
    given = (files.weights, files.samples, ROWS // workers, "float32", "rows")
    running = [start("_engine_worker", *given, OMP_NUM_THREADS="1") for _ in range(workers)]
    try:
        for each in running:
            assert _line(each) == "ready\n"
        for each in running:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        return max(float(json.loads(_line(each))["seconds"]) for each in running)
    finally:
        for each in running:
            each.communicate()


def _line(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()
