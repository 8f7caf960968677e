"""The demo study's contestants: five real 4x super-resolution methods.

Each crop is first made four times smaller by `shrink`; a method then sees only the small picture and gives back one of
the crop's size. All of them are deterministic.
"""

import platform
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image, ImageFilter

from evalhub.studies.demo.photographs import DemoPrompt, prompts, reference

FACTOR = 4
"""How many times wider and higher an output is than the picture its method was given."""


@dataclass(frozen=True)
class Method:
    """One contestant: `function` makes an RGB picture FACTOR times wider and higher."""

    title: str
    description: str
    function: Callable[[Image.Image], Image.Image]


def shrink(image: Image.Image) -> Image.Image:
    """The picture every method starts from: FACTOR times smaller by bicubic resampling.

    Pillow widens the bicubic kernel to the scale of the reduction, so that the small picture has no aliasing: the
    degradation that super-resolution papers call "bicubic".
    """
    return image.resize((image.width // FACTOR, image.height // FACTOR), Image.Resampling.BICUBIC)


def enlarge(image: Image.Image, resampling: Image.Resampling) -> Image.Image:
    """The picture FACTOR times wider and higher by one of Pillow's resampling filters."""
    return image.resize((image.width * FACTOR, image.height * FACTOR), resampling)


def _nearest(image: Image.Image) -> Image.Image:
    return enlarge(image, Image.Resampling.NEAREST)


def _bilinear(image: Image.Image) -> Image.Image:
    return enlarge(image, Image.Resampling.BILINEAR)


def _bicubic(image: Image.Image) -> Image.Image:
    return enlarge(image, Image.Resampling.BICUBIC)


def _lanczos(image: Image.Image) -> Image.Image:
    return enlarge(image, Image.Resampling.LANCZOS)


def _lanczos_unsharp(image: Image.Image) -> Image.Image:
    return _lanczos(image).filter(ImageFilter.UnsharpMask(radius=2, percent=120, threshold=2))


METHODS: dict[str, Method] = {
    "nearest": Method("Nearest neighbour", "Each small pixel becomes a block of 4 x 4 equal pixels.", _nearest),
    "bilinear": Method("Bilinear", "A weighted mean of the 2 x 2 nearest small pixels.", _bilinear),
    "bicubic": Method("Bicubic", "A cubic kernel (a = -0.5) over 4 x 4 small pixels.", _bicubic),
    "lanczos": Method("Lanczos", "A windowed sinc kernel of three lobes over 6 x 6 small pixels.", _lanczos),
    "lanczos-unsharp": Method(
        "Lanczos, sharpened",
        "Lanczos, then an unsharp mask of radius 2 pixels, strength 120 % and threshold 2.",
        _lanczos_unsharp,
    ),
}


def generate(method: Method, prompt: DemoPrompt) -> tuple[Image.Image, float]:
    """A method's output for a prompt, the size of its reference, and the seconds the method itself took.

    Reading and shrinking the photograph is not counted. Raises MaterialUnavailable as `reference` does.
    """
    small = shrink(reference(prompt))
    start = perf_counter()
    image = method.function(small)
    return image, perf_counter() - start


def output(method: Method, prompt: DemoPrompt) -> Image.Image:
    """A method's output for a prompt: RGB, the reference's size. Raises MaterialUnavailable as `reference` does."""
    return generate(method, prompt)[0]


def write_outputs(method: Method, folder: Path) -> list[float]:
    """Writes `<key>.png` for every prompt into a folder, made if need be; returns their seconds in prompt order."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds = []
    for prompt in prompts():
        image, took = generate(method, prompt)
        image.save(folder / f"{prompt.key}.png")
        seconds.append(took)
    return seconds


def processor() -> str:
    """The name of the CPU that the methods run on, for a checkpoint's self-reported facts."""
    try:
        name = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        # Only Linux has this file; elsewhere the platform module knows the name.
        name = None
    return name.group(1).strip() if name else platform.processor() or platform.machine()


def facts(seconds: list[float]) -> dict[str, Any]:
    """What `evalhub submit --facts` takes, from one latency per output in seconds."""
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return {
        "latency_p50": round(statistics.median(seconds), 6),
        "latency_p95": round(cuts[-1], 6),
        "gpu": f"none ({processor()})",
        "dtype": "uint8",
    }
