"""What the engine's benchmarks share: real photographs as files, networks, and the command in a process of its own.

From the environment: `BENCH_DEVICE` (cpu; cuda runs the same on a GPU), `BENCH_PICTURES` (512) and `BENCH_ROUNDS` (3).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image

from evalhub.studies.demo.methods import enlarge, shrink
from evalhub.studies.demo.photographs import picture, prompts
from metrics.engine.weights import Weights

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = os.environ.get("BENCH_DEVICE", "cpu")
PICTURES = int(os.environ.get("BENCH_PICTURES", "512"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SIDE = 256
CARRIED = ("inception-2015-12-05", "lpips-alexnet")


@dataclass(frozen=True)
class Material:
    """Folders of samples and of references, the same names in both; captions; weights; the random CLIP's own file."""

    home: Path
    samples: Path
    reference: Path
    captions: Path
    weights: Path
    clip: Path


@contextmanager
def material(count: int = PICTURES, *, clip: bool = True) -> Iterator[Material]:
    """Crops of the demo study's photographs as PNG, and their real 4× enlargements as samples."""
    with TemporaryDirectory(prefix="evalhub-bench-") as name:
        home = Path(name)
        made = Material(*(home / part for part in ("", "samples", "reference", "captions.csv", "weights", "clip.pt")))
        for folder in (made.samples, made.reference, made.weights):
            folder.mkdir()
        lines = ["file,caption"]
        for index, (crop, caption) in enumerate(_crops(count)):
            crop.save(made.reference / f"{index:05}.png")
            enlarge(shrink(crop), Image.Resampling.BICUBIC).save(made.samples / f"{index:05}.png")
            lines.append(f'{index:05}.png,"{caption}"')
        made.captions.write_text("\n".join(lines), encoding="utf-8")
        shared = Weights(os.environ.get("EVALHUB_TEST_WEIGHTS") or REPOSITORY / "var" / "weights")
        for each in CARRIED:
            file = shared.pull(each)
            (made.weights / file.name).symlink_to(file)
        if clip:
            torch.manual_seed(20)
            model = open_clip.create_model("ViT-B-32", pretrained=None)
            torch.save(model.state_dict(), made.clip)
            Weights(made.weights).import_file("clip-vit-b-32", made.clip)
        yield made


def _crops(count: int) -> Iterator[tuple[Image.Image, str]]:
    """Squares at random places of the photographs, each with a caption that was written for its photograph."""
    draws = np.random.default_rng(11)
    for index in range(count):
        prompt = prompts()[index % len(prompts())]
        whole = picture(prompt.source)
        left, top = (int(draws.integers(0, length - SIDE + 1)) for length in whole.size)
        yield whole.crop((left, top, left + SIDE, top + SIDE)), prompt.caption.replace('"', "")


def command(*arguments: object) -> dict[str, Any]:
    """The JSON that `python -m metrics.engine score` prints, with all cores of this machine."""
    line = [sys.executable, "-m", "metrics.engine", "score", "--device", DEVICE, "--json", *map(str, arguments)]
    result: dict[str, Any] = json.loads(_output(line))
    return result


def script(module: str, *arguments: object, **environment: str) -> dict[str, Any]:
    """The JSON that one of these modules prints when it is run by itself."""
    line = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    result: dict[str, Any] = json.loads(_output(line, **environment))
    return result


def start(module: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    return subprocess.Popen(
        line, cwd=REPOSITORY, env=_environment(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _output(line: Sequence[str], **environment: str) -> str:
    done = subprocess.run(
        line, cwd=REPOSITORY, env=_environment(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _environment(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return {**kept, **more}
