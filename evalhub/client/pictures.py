"""A picture that a program holds, as the bytes of a file. Pillow and numpy are not imported: they come with it."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from evalhub.client.layout import BadLayout

COLOURS = {1: 0, 3: 2, 4: 6}  # channels → PNG's colour type
QUICK = 1  # of zlib's levels: a training job waits for this
SIGNATURES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}


def encoded(picture: Any) -> tuple[bytes, str]:
    """The bytes of a file and its extension.

    Args: picture: a file's bytes or path, as they are; a Pillow image, saved as PNG; or a numpy array of uint8,
        (height, width) or (height, width, 1 | 3 | 4), written as PNG without loss.
    Raises: BadLayout, in a sentence, for anything else.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        content = bytes(picture)
        return content, next((form for head, form in SIGNATURES.items() if content.startswith(head)), ".bin")
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        try:
            return path.read_bytes(), path.suffix or ".bin"
        except OSError as error:
            raise BadLayout(f"{path} cannot be read: {error.strerror}.") from None
    if hasattr(picture, "save") and hasattr(picture, "mode"):
        out = io.BytesIO()
        picture.save(out, format="PNG", compress_level=QUICK)
        return out.getvalue(), ".png"
    if hasattr(picture, "__array_interface__"):
        return png(picture), ".png"
    raise BadLayout(
        f"An output is a file's bytes, a path, a Pillow image or a numpy array, and got a {type(picture).__name__}; "
        "of a tensor give `.cpu().numpy()`."
    )


def png(array: Any) -> bytes:
    """A numpy array of uint8 as a PNG file. Raises: BadLayout for another type or shape."""
    shape = tuple(array.shape)
    channels = shape[2] if len(shape) == 3 else 1
    if array.dtype.str != "|u1" or len(shape) not in (2, 3) or channels not in COLOURS or 0 in shape:
        raise BadLayout(
            "An array is of uint8 from 0 to 255 and of the shape (height, width) or (height, width, channels), and got "
            f"{array.dtype.name} of {shape}."
        )
    height, width = shape[:2]
    pixels, row = array.tobytes(), width * channels
    lines = b"".join(b"\0" + pixels[start : start + row] for start in range(0, height * row, row))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, QUICK)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
