"""Still pictures, by Pillow."""

from evalhub.studies.decoding.unfit import Unfit

ORIENTATION = 0x0112


def read_image(path: str, form: str, side: int) -> dict[str, object]:
    """Decode every pixel of a still picture.

    Returns: its kind, format and its size as shown, that is after the turn that EXIF may ask for.
    Raises: Unfit when it is larger than `side` on a side, moves, or does not decode to its end.
    """
    from PIL import AvifImagePlugin, Image

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.MAX_IMAGE_PIXELS = None  # `side` is the limit, checked before a pixel is decoded
    try:
        if form == "png":  # whose decoder stops at the last pixel; this reads on to the end, checksums included
            with Image.open(path, formats=["PNG"]) as image:
                image.verify()
        with Image.open(path, formats=[form.upper()]) as image:
            width, height = image.size
            if max(width, height) > side:
                raise Unfit(f"is {width}×{height} pixels; at most {side:,} on each side are taken")
            # A JPEG with a second picture inside (MPO) is shown as its first.
            pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if pictures > 1:
                raise Unfit(f"holds {pictures} pictures (an animation or pages); send one still picture")
            if image.mode in ("I", "F"):  # which no metric could read either
                raise Unfit("has 32-bit pixels, whose range is not known; save it with 8 or 16 bits a channel")
            image.load()
            if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
                width, height = height, width
    except MemoryError:
        raise Unfit("takes more memory to decode than the site allows") from None
    except (Unfit, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - decoders meet hostile bytes with errors of every kind
        raise Unfit(f"does not decode as {form.upper()} ({_reason(error)})") from None
    return {"kind": "image", "format": form, "width": width, "height": height, "frames": 1}


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "it is cut off"
    if "cannot identify image file" in text:
        return "its beginning is damaged or the rest is missing"
    return text[:200] or type(error).__name__
