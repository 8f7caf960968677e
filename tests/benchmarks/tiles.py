"""Pictures of 16,384 × 16,384 pixels: cut into tiles by libvips in a process of its own, beside Pillow making the same
pyramid of the same tiles; each in a process whose peak memory is measured. And what the door needs to let them in.

EVALHUB_BENCH_SIDE, in pixels, makes it smaller.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from PIL import Image
from skimage import data

from evalhub.studies.decoding.process import examine, limit
from raters.presentation import TILED, large, pyramid, stills
from tests.benchmarks import Claim, Measure

SIDE = int(os.environ.get("EVALHUB_BENCH_SIDE", "16384"))
SIZE = (SIDE, SIDE)
ROUNDS = 2
FINEST = len(pyramid.levels(SIZE)) - 1
LONGEST_WEBP = 16_383
DOOR_SECONDS, DOOR_MEMORY = 60, 6 * 2**30  # as the settings have them
FORMATS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95},
    "tiff": {"compression": "tiff_lzw"},
    "webp": {"lossless": True, "quality": 0, "method": 0},  # lossy, it cannot hold so much detail
}


def measure() -> Iterator[Measure | Claim]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _apart("make", folder)  # not here: a process begins with the peak memory of the one that starts it
        what = f"a PNG of {SIDE:,} × {SIDE:,} pixels to lossless tiles"
        readings = [[_apart(how, folder) for how in ("libvips", "pillow")] for _ in range(ROUNDS)]
        assert _tile(folder / "libvips.tiles") == _tile(folder / "pillow.tiles")
        for unit, title, goal in (("s", "time", 1.0), ("MiB", "peak memory", 4.0 if SIDE >= 16_384 else None)):
            ours, theirs = ([reading[how][unit] for reading in readings] for how in (0, 1))
            yield Measure(f"{what}: {title}", ours, "Pillow, whole in memory", theirs, goal, unit)
        peak = median(reading[0]["MiB"] for reading in readings)
        yield Claim(f"{what}: peak memory", peak, high=600, unit="MiB")
        for form in FORMATS:
            found = _apart(form, folder)
            note = f"{found['MiB']:,.0f} MiB at most"
            yield Claim(
                f"a {form.upper()} of that size at the door", found["s"], high=DOOR_SECONDS, unit="s", note=note
            )


def _apart(how: str, folder: Path) -> dict[str, float]:
    """Do it in a process of its own; its seconds and its peak memory, or its child's."""
    command = [sys.executable, "-m", "tests.benchmarks.tiles", how, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def _tile(path: Path) -> bytes:
    """The pixels of one of the finest tiles."""
    number = pyramid.number(SIZE, FINEST, 1, 1)
    assert number is not None
    with path.open("rb") as file, tempfile.TemporaryFile() as tile:
        tile.write(pyramid.record_of(file, number))
        with Image.open(tile) as picture:
            return picture.tobytes()


# -- in a process of its own --------------------------------------------------------------------------------------


def make(folder: Path) -> None:
    """A photograph, enlarged, in each format; WebP holds a pixel less."""
    picture = Image.fromarray(data.astronaut()).resize(SIZE, Image.Resampling.BICUBIC)
    for form, options in FORMATS.items():
        most = LONGEST_WEBP if form == "webp" else SIDE
        fitting = picture if most >= SIDE else picture.crop((0, 0, most, most))
        fitting.save(folder / f"picture.{form}", form.upper(), **options)


def with_libvips(folder: Path) -> None:
    with (folder / "picture.png").open("rb") as file:
        large.present(TILED, file, "png", SIZE, folder / "libvips.tiles")


def with_pillow(folder: Path) -> None:
    with (folder / "picture.png").open("rb") as file:
        picture = stills.read(file, "png")
    records = {}
    for level in range(FINEST, -1, -1):
        size = pyramid.levels(SIZE)[level]
        picture = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
        for tile in (each for each in pyramid.tiles(SIZE) if each[0] == level):
            left, top = (pyramid.TILE * place for place in tile[1:])
            box = (left, top, min(left + pyramid.TILE, size[0]), min(top + pyramid.TILE, size[1]))
            records[tile] = folder / f"pillow-{'-'.join(map(str, tile))}"
            records[tile].write_bytes(stills.encode(picture.crop(box)))
    pyramid.pack([records[0, 0, 0], *(records[tile] for tile in pyramid.tiles(SIZE))], folder / "pillow.tiles")


def at_the_door(folder: Path, form: str) -> None:
    limit(DOOR_SECONDS, DOOR_MEMORY)
    found = examine(
        str(folder / f"picture.{form}"), ["image"], {"image": DOOR_SECONDS}, DOOR_MEMORY, {"image": SIDE}, 1
    )
    assert found.get("format") == form, found


WORKS = {"make": make, "libvips": with_libvips, "pillow": with_pillow}
WORKS |= {form: partial(at_the_door, form=form) for form in FORMATS}


def _peak() -> int:
    """Bytes, the most that this process, since it runs this program, or a child of it has had."""
    (own,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


if __name__ == "__main__":
    began = time.perf_counter()
    WORKS[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"s": time.perf_counter() - began, "MiB": _peak() / 2**20}))
