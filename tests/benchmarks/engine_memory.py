"""The peak memory of FID does not grow with the number of images."""

import os
from collections.abc import Iterator

from tests.benchmarks import Measure
from tests.benchmarks._engine import DEVICE, material, script

FEW = int(os.environ.get("BENCH_FEW", "2000"))
MANY = 5 * FEW
DTYPE = "bfloat16"


def measure() -> Iterator[Measure]:
    with material(64, clip=False) as files:
        peaks = {}
        for count in (FEW, MANY):
            took = script("_engine_worker", files.weights, files.samples, count, DTYPE, "score")
            peaks[count] = took["peak"] if DEVICE == "cpu" else took["device_peak"]
    yield Measure(
        f"peak memory of FID over {MANY:,} images, in shards of 250",
        [peaks[MANY] / 2**20],
        f"over {FEW:,}",
        [peaks[FEW] / 2**20],
        goal=1 / 1.1,
        unit="MiB",
        note=f"goal: at most 10 % more; 64 photographs with other bytes behind their end, in {DTYPE} to save time",
    )
