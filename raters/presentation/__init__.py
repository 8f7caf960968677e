"""What raters see: every output encoded anew under one policy per kind, on a canvas that a prompt's outputs share."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image

from raters.presentation import large, outlines, pyramid, stills
from raters.presentation.stills import LONGEST_WHOLE
from raters.presentation.unpresentable import Unpresentable

__all__ = [
    "LONGEST_WHOLE",
    "OUTLINE",
    "POLICIES",
    "TILED",
    "VIDEO",
    "WHOLE",
    "Canvas",
    "Shape",
    "Unpresentable",
    "canvas",
    "picture_of",
    "policy",
    "present",
]

WHOLE, TILED, OUTLINE, VIDEO = stills.POLICY, large.POLICY, outlines.POLICY, "vp9-2"
POLICIES = (WHOLE, TILED, OUTLINE, VIDEO)  # those in force; copies under any other are made anew


class Canvas(NamedTuple):
    """Width and height in pixels; for videos also frames a second, and how many frames."""

    width: int
    height: int
    rate: int = 0
    frames: int = 1


class Shape(NamedTuple):
    """One output's own facts: width and height in pixels; for videos frames a second, and seconds."""

    width: int
    height: int
    rate: float = 0.0
    seconds: float = 0.0


def canvas(kind: str, shapes: Iterable[Shape], edge: int) -> Canvas:
    """The canvas on which all outputs of one prompt are shown, its longest side at most `edge`."""
    if kind == "image":
        return Canvas(*stills.canvas(((shape.width, shape.height) for shape in shapes), edge))
    from raters.presentation import moving  # FFmpeg, only where videos are shown

    return moving.canvas(shapes, edge)


def policy(kind: str, size: Canvas) -> str:
    """How a file of that kind is encoded on that canvas: both sides of a comparison have one canvas, so one policy."""
    if kind == "video":
        return VIDEO
    return TILED if max(size.width, size.height) > LONGEST_WHOLE else WHOLE


def present(policy: str, file: IO[bytes], form: str, own: Shape, size: Canvas, path: Path) -> None:
    """Write the file's content on the canvas, encoded under the policy, to `path`.

    Args:
        form: its format as the door found it, such as "png"; no other decoder is tried.
        own: what the file itself is.
    Raises: Unpresentable when it cannot be read; RuntimeError when somebody stops the process that reads it.
    """
    edges = (size.width, size.height)
    if policy == VIDEO:
        from raters.presentation import moving  # FFmpeg, only where videos are shown

        path.write_bytes(moving.present(file, size))
    elif policy == TILED or max(own.width, own.height) > LONGEST_WHOLE:
        large.present(policy, file, form, edges, path)
    else:
        how = outlines if policy == OUTLINE else stills
        path.write_bytes(how.present(file, form, edges))


def picture_of(path: Path, policy: str, own: Shape, size: Canvas) -> Image.Image:
    """What a copy of a picture shows, some 2,000 pixels large where it is in tiles, without the grey around it."""
    with path.open("rb") as file:
        whole = Image.open(io.BytesIO(pyramid.record_of(file, 0)) if policy == TILED else file)
        whole.load()
    scale = whole.width / size.width
    (width, height), (left, top) = stills.placed((own.width, own.height), (size.width, size.height))
    return whole.crop((left * scale, top * scale, (left + width) * scale, (top + height) * scale))
