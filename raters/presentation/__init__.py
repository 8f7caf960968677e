"""What raters see: every output encoded anew under one policy per kind, on a canvas that a prompt's outputs share."""

from collections.abc import Iterable
from typing import IO, NamedTuple

from raters.presentation import stills
from raters.presentation.unpresentable import Unpresentable

__all__ = ["POLICIES", "Canvas", "Shape", "Unpresentable", "canvas", "present"]

POLICIES = {"image": stills.POLICY, "video": "vp9-1"}


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


def present(kind: str, file: IO[bytes], form: str, size: Canvas) -> bytes:
    """The file's content on the canvas, encoded under the policy of its kind.

    Raises: Unpresentable when it cannot be read.
    """
    if kind == "image":
        return stills.present(file, form, (size.width, size.height))
    from raters.presentation import moving  # FFmpeg, only where videos are shown

    return moving.present(file, size)
