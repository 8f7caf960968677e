"""The one decode: a file in, eight-bit RGB pixels out, under a policy that is part of every fingerprint.

Policy, version 1. PNG, JPEG, WebP, AVIF, BMP and TIFF, recognised by their bytes and never by their names. EXIF
rotation is applied. Transparency is laid over white. 16-bit greys keep their high byte, as Pillow does for 16-bit
colour. CMYK becomes RGB by Pillow's plain conversion. ICC profiles are ignored, as every reference implementation of
these metrics does. An animation, a floating-point picture or a side over 16,384 is refused. The largest picture is
16,384 × 16,384: its pixels take 0.8 GB, decoding it 2.8 GB, and 5 GB with transparency.
"""

import struct
from typing import Any, BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from metrics.engine.errors import UnreadableImage

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "TIFF")
MAX_SIDE = 16_384
MAX_PIXELS = MAX_SIDE**2
BACKGROUND = (255, 255, 255)
POLICY_VERSION = 1

# Pillow's own guard stands lower. Beyond twice this it does not open a file; up to there the sides are checked.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

# EXIF's orientations that exchange width and height.
_QUARTER_TURNS = (5, 6, 7, 8)

# What Pillow's decoders report damage as.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError, LookupError, TypeError, struct.error)


def decode_policy() -> dict[str, Any]:
    """What changes a decoded pixel, for the fingerprint."""
    return {"library": f"pillow-{PIL.__version__.split('.')[0]}", "policy": POLICY_VERSION}


def decode_image(file: BinaryIO, *, name: str) -> NDArray[np.uint8]:
    """Pixels of one still picture.

    Args: file: open for reading, at its start. name: what to call it in an error.
    Returns: (height, width, 3) uint8, sRGB assumed.
    Raises: UnreadableImage with one sentence naming the file.
    """
    try:
        with Image.open(file, formats=FORMATS) as picture:
            _check_shape(picture, name)
            picture.load()
            return _to_rgb(picture, name)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(f"{name} claims more than {MAX_PIXELS:,} pixels; send a smaller picture.") from None
    except UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise UnreadableImage(f"{name} is not a picture in a known format ({kinds}); send one of those.") from None
    except _DAMAGE as fault:
        raise UnreadableImage(f"{name} is damaged or incomplete ({fault}); send the file again.") from None


def read_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height of a picture as it is shown, from its header alone; None where that cannot be read."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in _QUARTER_TURNS
            return (height, width) if turned else (width, height)
    except (Image.DecompressionBombError, *_DAMAGE):
        return None


def _check_shape(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if max(width, height) > MAX_SIDE:
        raise UnreadableImage(f"{name} is {width:,} × {height:,} pixels; at most {MAX_SIDE:,} on a side are accepted.")
    # A phone's MPO is one JPEG photograph with a preview behind it.
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if frames > 1:
        raise UnreadableImage(
            f"{name} holds {frames} frames where one still picture was expected; send a single frame."
        )


def _to_rgb(picture: Image.Image, name: str) -> NDArray[np.uint8]:
    ImageOps.exif_transpose(picture, in_place=True)
    upright: Image.Image = picture
    if upright.mode.startswith("I;16"):
        high = (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(high[:, :, None], 3, axis=2)
    if upright.mode in ("I", "F"):
        raise UnreadableImage(
            f"{name} has 32-bit pixels, whose range is not known; save it with 8 or 16 bits a channel."
        )
    if upright.has_transparency_data:
        opaque = Image.new("RGBA", upright.size, (*BACKGROUND, 255))
        upright = Image.alpha_composite(opaque, upright.convert("RGBA"))
    # A copy of a large picture is a large copy: none is made of one that is in RGB already.
    return np.array(upright if upright.mode == "RGB" else upright.convert("RGB"))
