"""Real photographs, the real weights (fetched once into a shared folder) and a random CLIP checkpoint."""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import skimage
import sklearn.datasets
import torch
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from metrics.engine.protocol import Protocol, named
from metrics.engine.scores import ScoreResult
from metrics.engine.subjects import Picture, Subject
from metrics.engine.weights import Weights

REPOSITORY = Path(__file__).resolve().parents[2]
STDLIB = REPOSITORY / "node_modules" / "@stdlib"
PHOTOGRAPHS = (
    *(Path(skimage.__file__).parent / "data" / name for name in ("astronaut.png", "coffee.png", "chelsea.png")),
    *(Path(sklearn.datasets.__file__).parent / "images" / name for name in ("china.jpg", "flower.jpg")),
    *(STDLIB / f"datasets-img-{name}" / "data" / "image.jpg" for name in ("black-canyon", "nagasaki-boats")),
)

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # The suite shares its cores with servers and browsers; threads would spend them waiting for one another.
    torch.set_num_threads(1)
    threadpool_limits(1)


@pytest.fixture(scope="session")
def weights() -> Weights:
    """The real Inception, LPIPS and DISTS weights. `EVALHUB_TEST_WEIGHTS` names a folder that already has them."""
    folder = Weights(os.environ.get("EVALHUB_TEST_WEIGHTS") or REPOSITORY / "var" / "weights")
    for name in ("inception-2015-12-05", "lpips-alexnet", "lpips-vgg16", "dists-vgg16"):
        folder.pull(name)
    return folder


@pytest.fixture
def clean() -> Protocol:
    return named("clean")


@pytest.fixture(scope="session")
def photographs() -> list[Pixels]:
    """Crops of photographs that come inside installed packages, 64 of them, of differing sizes."""
    draws = np.random.default_rng(7)
    pictures = [np.array(Image.open(path).convert("RGB")) for path in PHOTOGRAPHS]
    return [_crop(pictures[index % len(pictures)], draws) for index in range(64)]


def _crop(picture: Pixels, draws: np.random.Generator) -> Pixels:
    height, width = draws.integers(72, 200, 2)
    top, left = draws.integers(0, picture.shape[0] - height), draws.integers(0, picture.shape[1] - width)
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def large_crops(count: int) -> list[Pixels]:
    """Crops of 176 × 192 pixels from the same photographs, each from another place."""
    pictures = [np.array(Image.open(path).convert("RGB")) for path in PHOTOGRAPHS]
    return [
        np.ascontiguousarray(pictures[index % len(pictures)][20 * index :][:176, 10 * index :][:, :192])
        for index in range(count)
    ]


def bits(score: ScoreResult) -> bytes:
    """A score's per-sample values, to the last bit."""
    assert score.per_sample is not None
    return score.per_sample.tobytes()


def degraded(picture: Pixels) -> Pixels:
    """A real 4× enlargement: reduced and brought back by Pillow's bicubic."""
    image = Image.fromarray(picture)
    small = image.resize((image.width // 4, image.height // 4), Image.Resampling.BICUBIC)
    return np.array(small.resize(image.size, Image.Resampling.BICUBIC))


def encoded(picture: Pixels, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


@dataclass(frozen=True)
class Folders:
    """A folder of references and one of samples, the same names in both."""

    reference: Path
    samples: Path


@pytest.fixture(scope="session")
def folders(photographs: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """24 references as PNG, and their degraded versions, half PNG and half JPEG."""
    home = tmp_path_factory.mktemp("folders")
    made = Folders(home / "reference", home / "samples")
    made.reference.mkdir()
    made.samples.mkdir()
    for index, picture in enumerate(photographs[:24]):
        (made.reference / f"{index:02}.png").write_bytes(encoded(picture))
        kind = "PNG" if index % 2 else "JPEG"
        (made.samples / f"{index:02}.{'png' if index % 2 else 'jpg'}").write_bytes(encoded(degraded(picture), kind))
    return made


def picture(data: bytes) -> Picture:
    return Picture(hashlib.sha256(data).hexdigest(), partial(io.BytesIO, data))


def subject(sample: bytes, reference: bytes | None = None, caption: str | None = None, name: str = "") -> Subject:
    return Subject(
        key=hashlib.sha256(sample).hexdigest(),
        open=partial(io.BytesIO, sample),
        caption=caption,
        reference=picture(reference) if reference else None,
        name=name,
    )


@pytest.fixture(scope="session")
def subjects(photographs: list[Pixels]) -> Sequence[Subject]:
    """The 64 crops as references and their degraded versions as samples."""
    return [
        subject(encoded(degraded(picture)), encoded(picture), f"Photograph number {index}", f"{index:02}.png")
        for index, picture in enumerate(photographs)
    ]


@dataclass(frozen=True)
class RandomClip:
    """A CLIP of random numbers: it exercises the path and measures nothing. `model` is open_clip's object for it."""

    file: Path
    model: Any


@pytest.fixture(scope="session")
def random_clip(tmp_path_factory: pytest.TempPathFactory) -> RandomClip:
    torch.manual_seed(20)
    model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    file = tmp_path_factory.mktemp("clip") / "random.pt"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in model.state_dict().items()}}, file)
    return RandomClip(file, model)


@pytest.fixture(scope="session")
def clip_weights(random_clip: RandomClip, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A weights folder of its own, holding only the random CLIP."""
    folder = Weights(tmp_path_factory.mktemp("clip-weights"))
    folder.import_file("clip-vit-b-32", random_clip.file)
    return folder
