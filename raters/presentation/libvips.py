"""One large picture, read by libvips as it streams by and encoded anew: the program that `large` runs.

The policy `tiles-2` is that of `stills` in all but the file: the first picture, 8 bits a channel, turned as EXIF says,
sRGB, on mid-grey where transparent, shrunk by Lanczos into the canvas or enlarged by cubic interpolation; cut into a
pyramid of tiles, each level the mean of four pixels of the next, each tile lossless WebP of fixed settings and nothing
else. Equal pixels give equal bytes.

libvips holds a few rows of tiles at a time. What cannot be read in order is read first: a turned picture into a file of
its own beside the result, an interlaced PNG, a progressive JPEG, WebP and AVIF into memory, at most 1.6 GB.
Loaders that libvips does not trust are blocked before it opens anything, and of the others only that of the format the
door has found is called. This program gets no environment, no network and one open file; its memory and time are bound.
"""

import json
import os
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image

from raters.presentation import outlines, pyramid, stills
from raters.presentation.colours import to_srgb
from raters.presentation.unpresentable import Unpresentable

LOADERS = {
    "png": pyvips.Image.pngload_source,
    "jpeg": pyvips.Image.jpegload_source,
    "webp": pyvips.Image.webpload_source,
    "avif": pyvips.Image.heifload_source,
    "tiff": pyvips.Image.tiffload_source,
}
LOSSLESS = {"lossless": True, "effort": 0, "Q": 20, "keep": "none"}
TILES = ".webp[lossless,effort=0,Q=20,keep=none]"
MODES = {1: "L", 3: "RGB", 4: "CMYK"}  # colour bands, as Pillow calls them

Size = tuple[int, int]


def main() -> None:
    """Read the picture on standard input; write what was asked for, or why not, as JSON, to standard output."""
    job = json.loads(sys.argv[-1])
    resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (job["seconds"], job["seconds"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pyvips.block_untrusted_set(True)
    pyvips.cache_set_max(0)
    problem = ""
    try:
        WRITERS[job["policy"]](job["form"], (job["width"], job["height"]), Path(job["path"]))
    except (pyvips.Error, MemoryError, Unpresentable) as error:
        if "No space left" in str(error):
            raise
        problem = " ".join(str(error).split())[:300] or type(error).__name__
    print(json.dumps({"problem": problem}))  # noqa: T201 - its answer


def write_tiles(form: str, size: Size, path: Path) -> None:
    picture = on_canvas(read(form), size)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        picture.dzsave(f"{folder}/p", layout="dz", depth="onetile", tile_size=pyramid.TILE, overlap=0, suffix=TILES)
        tiles = [
            Path(folder, "p_files", str(level), f"{column}_{row}.webp") for level, column, row in pyramid.tiles(size)
        ]
        overview = Path(folder, "overview.webp")
        _overview(tiles, size).webpsave(str(overview), **LOSSLESS)
        pyramid.pack([overview, *tiles], path)


def write_whole(form: str, size: Size, path: Path) -> None:
    """A large picture on a canvas that is not: encoded as `stills` does."""
    path.write_bytes(stills.encode(Image.fromarray(on_canvas(read(form), size).numpy())))


def write_outline(form: str, size: Size, path: Path) -> None:
    mask = read(form).colourspace("b-w")
    own = (mask.width, mask.height)
    shrunk = min(1.0, stills.LONGEST_WHOLE / max(own))
    levels: np.ndarray = mask.resize(shrunk, kernel="linear").numpy()
    path.write_text(outlines.svg(levels, own, size))


WRITERS = {"tiles-2": write_tiles, stills.POLICY: write_whole, outlines.POLICY: write_outline}


def read(form: str) -> pyvips.Image:
    """The first picture of standard input as opaque 8-bit sRGB, upright; its pixels are read when asked for."""
    image = _opened(form, "sequential")
    turned = image.get_typeof("orientation") and image.get("orientation") != 1
    return _opaque(_opened(form, "random").autorot() if turned else image)


def on_canvas(picture: pyvips.Image, size: Size) -> pyvips.Image:
    """The picture scaled into `size`, centred on mid-grey."""
    own = (picture.width, picture.height)
    inner, corner = stills.placed(own, size)
    if inner[0] > own[0] or inner[1] > own[1]:
        picture = _enlarged(picture, inner)
    elif inner != own:
        picture = picture.resize(inner[0] / own[0], vscale=inner[1] / own[1], kernel="lanczos3")
    if inner != size:
        picture = picture.embed(*corner, *size, extend="background", background=list(stills.GREY))
    assert (picture.width, picture.height) == size
    return picture


def _enlarged(picture: pyvips.Image, inner: Size) -> pyvips.Image:
    """By cubic interpolation, the middle of each pixel where it was; libvips' own enlarging holds the corner still."""
    across, down = inner[0] / picture.width, inner[1] / picture.height
    return picture.affine(
        [across, 0, 0, down],
        interpolate=pyvips.Interpolate.new("bicubic"),
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        oarea=[0, 0, *inner],
        extend="copy",
    )


def _opened(form: str, access: str) -> pyvips.Image:
    os.lseek(0, 0, os.SEEK_SET)
    return LOADERS[form](pyvips.Source.new_from_descriptor(0), access=access, fail_on="error")


def _opaque(image: pyvips.Image) -> pyvips.Image:
    icc = image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None
    alpha = image[image.bands - 1] if image.hasalpha() else None
    colours = image.extract_band(0, n=image.bands - 1) if alpha is not None else image
    if image.format == "ushort":  # of 16 bits the upper eight
        kind = "b-w" if colours.bands == 1 else "cmyk" if colours.bands == 4 else "srgb"
        colours = (colours >> 8).cast("uchar").copy(interpretation=kind)
        alpha = (alpha >> 8).cast("uchar") if alpha is not None else None
    elif image.format != "uchar":
        raise Unpresentable(f"its pixels are of a kind that is not shown ({image.format})")
    if to_srgb(icc, MODES.get(colours.bands, "RGB")) is not None:
        colours = colours.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
    colours = colours.colourspace("srgb")
    if alpha is None:
        return colours
    alpha = (alpha >= stills.OPAQUE).ifthenelse(255, alpha)
    return colours.bandjoin(alpha).copy(interpretation="srgb").flatten(background=list(stills.GREY))


def _overview(tiles: list[Path], size: Size) -> pyvips.Image:
    """The finest level that is not larger than an overview may be, joined from its tiles."""
    sizes = pyramid.levels(size)
    level = max(place for place, each in enumerate(sizes) if max(each) <= pyramid.OVERVIEW)
    wanted = [path for path, (each, _, _) in zip(tiles, pyramid.tiles(size), strict=True) if each == level]
    pictures = [pyvips.Image.webpload(str(path)) for path in wanted]
    joined = pyvips.Image.arrayjoin(pictures, across=pyramid.grid(sizes[level])[0])
    return joined.crop(0, 0, *sizes[level])
