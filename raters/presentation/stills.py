"""Pictures as raters see them, encoded anew under one policy, so that nothing but their pixels tells two apart.

The policy `webp-2`: the first picture of the file, 8 bits a channel, turned as EXIF says, converted to sRGB from its
ICC profile, laid on mid-grey where transparent (opaque but for a fiftieth is opaque), scaled by Lanczos to fit the
canvas, mid-grey around it where the aspect differs, lossless WebP of fixed settings and nothing else in the file. Equal
pixels give equal bytes.

Pure Pillow, for files that were decoded whole when they arrived. One picture at a time, converted in bands: besides the
decoder's own pixels it holds four bytes a pixel of the source, and two canvases. Files of more than 4,096 pixels on a
side are read by `libvips` instead, to the same rules.
"""

import io
from collections.abc import Iterable
from typing import IO

import numpy as np
from PIL import Image, ImageCms

from raters.presentation.colours import to_srgb
from raters.presentation.unpresentable import Unpresentable

POLICY = "webp-2"
GREY = (118, 118, 118)  # L* 50, the surround on the rating page too
LONGEST_EDGE = 16_384  # what the door takes
LONGEST_WHOLE = 4096  # a larger canvas is cut into tiles
BAND = 256
# A message can be written into an opaque picture's alpha, a level more or less; it must not turn into one of colours.
OPAQUE = 250
ALPHA = [level if level < OPAQUE else 255 for level in range(256)]
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Size = tuple[int, int]

# The door checks sizes before a pixel is decoded (settings.MAX_IMAGE_SIDE); Pillow's own limit is lower.
Image.MAX_IMAGE_PIXELS = None


def canvas(sizes: Iterable[Size], edge: int) -> Size:
    """The size at which every output of one prompt is shown: that of the largest, its longest side at most `edge`."""
    width, height = max(sizes, key=lambda size: (size[0] * size[1], size))
    scale = min(1.0, min(edge, LONGEST_EDGE) / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def present(file: IO[bytes], form: str, size: Size) -> bytes:
    """The file's picture on a canvas of `size`, encoded under the policy.

    Args:
        form: the file's format as the door found it, such as "png"; no other decoder is tried.
    Raises: Unpresentable when its pixels cannot be read.
    """
    return encode(fit(read(file, form), size))


def read(file: IO[bytes], form: str) -> Image.Image:
    """The file's first picture as opaque 8-bit sRGB, upright."""
    try:
        with Image.open(file, formats=[form.upper()]) as image:
            image.load()
            picture = _opaque(image)
            turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError) as error:
        raise Unpresentable(
            f"A {form.upper()} file that decoded when it arrived does not decode now: {error}."
        ) from error
    return picture if turn is None else picture.transpose(turn)


def placed(own: Size, size: Size) -> tuple[Size, Size]:
    """How a picture of its own size lies in the middle of a canvas: its size there, and its corner."""
    scale = min(size[0] / own[0], size[1] / own[1])
    inner = (min(size[0], max(1, round(own[0] * scale))), min(size[1], max(1, round(own[1] * scale))))
    return inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def fit(picture: Image.Image, size: Size) -> Image.Image:
    """The picture scaled into `size`, centred on mid-grey."""
    inner, corner = placed(picture.size, size)
    if inner != picture.size:
        picture = picture.resize(inner, Image.Resampling.LANCZOS)
    if inner == size:
        return picture
    whole = Image.new("RGB", size, GREY)
    whole.paste(picture, corner)
    return whole


def encode(picture: Image.Image) -> bytes:
    """Lossless WebP: the fastest method, since copies are made by the thousand and read a few times each."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=True, quality=20, method=0)
    return buffer.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    mode = "CMYK" if image.mode == "CMYK" else "L" if image.mode in {"1", "L", "LA", "La"} else "RGB"
    transform = to_srgb(image.info.get("icc_profile"), mode)
    picture = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND):
        band = _eight_bits(image.crop((0, top, image.width, min(top + BAND, image.height))))
        colours = band.convert(mode) if band.mode != mode else band
        if transform is not None:
            colours = ImageCms.applyTransform(colours, transform) or colours
        colours = colours.convert("RGB")
        if band.has_transparency_data:
            ground = Image.new("RGB", band.size, GREY)
            colours = Image.composite(colours, ground, band.convert("RGBA").getchannel("A").point(ALPHA))
        picture.paste(colours, (0, top))
    return picture


def _eight_bits(band: Image.Image) -> Image.Image:
    """16-bit grey (the modes I;16 and I) keeps its upper byte; floating point counts from 0 to 1."""
    if band.mode in {"RGBa", "La"}:
        return band.convert(band.mode.replace("a", "A"))
    if band.mode.startswith("I"):
        grey = np.clip(np.asarray(band), 0, 65535) // 256
    elif band.mode == "F":
        grey = np.nan_to_num(np.clip(np.asarray(band), 0, 1)) * 255 + 0.5
    else:
        return band
    return Image.fromarray(grey.astype(np.uint8))
