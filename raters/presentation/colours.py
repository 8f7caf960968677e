"""From a picture's embedded colour profile to sRGB, which is all that raters' screens are given."""

import io

import numpy as np
from PIL import Image, ImageCms


def to_srgb(icc: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How to get from the embedded profile to sRGB; None when there is nothing to do.

    A profile that is broken or of another colour space is passed over, as browsers do. One that moves no colour by more
    than a step is sRGB: rounding must not set a picture with a profile apart from its twin without one.
    """
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        black_point = ImageCms.Flags.BLACKPOINTCOMPENSATION
        transform = ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, black_point)
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "CMYK":
        return transform
    swatches = _swatches(mode)
    moved = np.asarray(ImageCms.applyTransform(swatches, transform)).astype(int)
    return None if np.abs(moved - np.asarray(swatches.convert("RGB")).astype(int)).max() <= 1 else transform


def _swatches(mode: str) -> Image.Image:
    """Colours from all over the space, in steps of 15."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    if mode == "L":
        return Image.fromarray(steps[None, :])
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
    return Image.fromarray(cube.reshape(1, -1, 3))
