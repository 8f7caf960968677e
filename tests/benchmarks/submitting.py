"""5,000 photographs over HTTP, the server killed twice and the client once on the way, beside the limit: what any site
must do with each of them, to hash it, decode it and copy it to the disk, on every core and with nothing else to do.

From the environment: `BENCH_FILES` (5000), `BENCH_SIDE` (512 pixels) and `BENCH_SUBMIT_ROUNDS` (2).
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from PIL import Image

from tests.benchmarks import Claim, Measure, seconds
from tests.benchmarks._photographs import write
from tests.deliveries import Delivery, arranged, workers_held
from tests.systems import running

FILES = int(os.environ.get("BENCH_FILES", "5000"))
SIDE = int(os.environ.get("BENCH_SIDE", "512"))
ROUNDS = int(os.environ.get("BENCH_SUBMIT_ROUNDS", "2"))
PROMPTS = 100
GOAL = 0.7


def measure() -> Iterator[Measure | Claim]:
    with TemporaryDirectory(prefix="evalhub-bench-") as name, running() as system:
        home = Path(name)
        write(home / "files", FILES, SIDE)
        files = sorted((home / "files").iterdir())
        size = sum(file.stat().st_size for file in files)
        arranged(files, home / "outputs", PROMPTS)
        limit: list[float] = []
        calm: list[float] = []
        attacked: list[float] = []
        with workers_held(system):
            for number in range(ROUNDS):
                limit.append(seconds(lambda: hash_decode_copy(files, home / "copies")))
                for readings, kills in ((calm, False), (attacked, True)):
                    delivery = Delivery.prepare(system, f"round-{number}-{int(kills)}", PROMPTS, home / "outputs")
                    readings.append(seconds(partial(deliver, delivery, kills)))
                    yield _all_arrived(delivery, files)
        work = f"{FILES:,} photographs of {SIDE} × {SIDE} ({size / 1e6:,.0f} MB) over HTTP"
        peer = f"the limit, hash + decode + copy with fsync in {os.cpu_count()} processes"
        yield Measure(work, calm, peer, limit, GOAL, note=_rates(size, calm, limit))
        note = _rates(size, attacked, limit)
        yield Measure(f"{work}, server killed twice, client once", attacked, peer, limit, GOAL, note=note)


def deliver(delivery: Delivery, kills: bool) -> None:
    """Submit the folder; if wanted with kill -9 of the server at one and three quarters, of the client at half."""
    if not kills:
        delivery.deliver()
        return
    server = (FILES // 4, 3 * FILES // 4)
    delivery.deliver(kill_server_at=server, kill_client_at=(FILES // 2,))


def hash_decode_copy(files: list[Path], folder: Path) -> None:
    """What cannot be left out, for every file."""
    folder.mkdir()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(_one, files, [folder] * len(files), chunksize=16):
            pass
    shutil.rmtree(folder)


def _one(file: Path, folder: Path) -> str:
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    with Image.open(file) as image:
        image.load()
    with (folder / digest).open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    return digest


def _all_arrived(delivery: Delivery, files: list[Path]) -> Claim:
    """Every file is one sample's, with the very bytes that were sent."""
    expected = {(file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files}
    arrived = delivery.arrived()
    right = len({(size, sha256) for _, _, sha256, size in arrived} & expected)
    once = right - (len(arrived) - right)
    return Claim(f"files of {delivery.slug} that arrived, each once", once, len(files), len(files))


def _rates(size: int, ours: list[float], limit: list[float]) -> str:
    ours_s, limit_s = median(ours), median(limit)
    return (
        f"{FILES / ours_s:.0f} images/s and {size / ours_s / 1e6:.0f} MB/s; "
        f"the limit {FILES / limit_s:.0f} and {size / limit_s / 1e6:.0f}"
    )
