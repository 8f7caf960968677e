"""A worker of a benchmark, in a process of its own: some pictures in shards, as Celery's workers have them.

Its arguments are a weights folder, a folder of pictures, how many rows to make of them, a dtype, and `score`, to give
their FID, or `rows`, to wait until a line comes on standard input and then make the rows only.
"""

import hashlib
import io
import json
import resource
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from metrics.engine.onepass import compute_block
from metrics.engine.protocol import named
from metrics.engine.references import reference_from_blocks
from metrics.engine.scores import merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from tests.benchmarks._engine import DEVICE

SHARD = 250


def subjects(files: list[bytes], count: int) -> Iterator[Subject]:
    """The files again and again, each time with other bytes behind their end, so that none is like another."""
    for index in range(count):
        data = files[index % len(files)] + index.to_bytes(8, "big")
        yield Subject(hashlib.sha256(data).hexdigest(), partial(io.BytesIO, data))


def main(weights: Path, folder: Path, count: int, dtype: str, *, scores: bool) -> None:
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    protocol = named("tf1").with_dtype(dtype)
    compute = partial(compute_block, metrics=["fid"], protocol=protocol, weights=Weights(weights), device=DEVICE)
    reference = reference_from_blocks([compute(list(subjects(files[::-1], 8)))], keep_features=False)
    if not scores:
        print("ready", flush=True)
        sys.stdin.readline()
    start = time.perf_counter()
    every = subjects(files, count)
    shards = (compute([next(every) for _ in range(min(SHARD, count - done))]) for done in range(0, count, SHARD))
    if scores:
        (score,) = merge_scores(shards, metrics=["fid"], protocol=protocol, reference=reference)
        value = score.value
    else:
        value = float(sum(len(block.keys) for block in shards))
    facts = {
        "seconds": time.perf_counter() - start,
        "value": value,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device_peak": torch.cuda.max_memory_allocated() if DEVICE != "cpu" else 0,
    }
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], scores=sys.argv[5] == "score")
