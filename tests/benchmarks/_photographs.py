"""Real photographs as so many files: random squares of those that packages carry, no two alike."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from evalhub.studies.demo.photographs import PHOTOGRAPHS, picture

SEED = 11
PLAY = 64  # pixels that a photograph is larger at least, so that there are many places to choose from


def crops(count: int, side: int) -> Iterator[Image.Image]:
    """Squares at random places of the photographs that are large enough, in turn."""
    large = [name for name in PHOTOGRAPHS if min(picture(name).size) >= side + PLAY]
    draws = np.random.default_rng(SEED)
    taken: set[tuple[str, int, int]] = set()
    while len(taken) < count:
        name = large[len(taken) % len(large)]
        whole = picture(name)
        left, top = (int(draws.integers(0, length - side + 1)) for length in whole.size)
        if (name, left, top) not in taken:
            taken.add((name, left, top))
            yield whole.crop((left, top, left + side, top + side))


def write(folder: Path, count: int, side: int) -> None:
    """So many PNG files `00000.png`, as quickly as they can be packed."""
    folder.mkdir()
    for index, crop in enumerate(crops(count, side)):
        crop.save(folder / f"{index:05}.png", compress_level=1)
