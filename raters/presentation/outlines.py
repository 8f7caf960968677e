"""Masks as raters see them: the outline of the white part, as a drawing that is sharp at any size.

The policy `outline-1`: white is where half of the light or more is; turned and laid into the canvas as `stills` does;
the outline runs along the edges between pixels. An SVG drawing of one path, and nothing else of the file.
"""

from typing import IO

import numpy as np
from numpy.typing import NDArray

from raters.presentation import stills

POLICY = "outline-1"
WHITE = 128
MOST_CORNERS = 200_000  # of a mask that is all specks, neighbouring pixels are taken together

Size = tuple[int, int]
Corners = NDArray[np.int64]


def present(file: IO[bytes], form: str, size: Size) -> bytes:
    """The file's mask on a canvas of `size`.

    Raises: Unpresentable when its pixels cannot be read.
    """
    mask = stills.read(file, form).convert("L")
    return svg(np.asarray(mask), mask.size, size).encode()


def svg(levels: NDArray[np.uint8], own: Size, size: Size) -> str:
    """The drawing.

    Args:
        levels: (h, w) or (h, w, 1), the mask's light, shrunk perhaps.
        own: its size before that.
        size: of the canvas.
    """
    white = levels.reshape(levels.shape[:2]) >= WHITE
    while len(corners(white)) > MOST_CORNERS:
        white = _halved(white)
    inner, corner = stills.placed(own, size)
    scale = (inner[0] / white.shape[1], inner[1] / white.shape[0])
    path = "".join(_words(ring * scale + corner) for ring in rings(white))
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}"/><path fill="#fff" fill-rule="evenodd" d="{path}"/></svg>'
    )


def corners(white: NDArray[np.bool_]) -> Corners:
    """(n, 2) x and y where the outline turns; where two white pixels touch by a corner only, it turns twice."""
    cells = np.pad(white, 1).astype(np.int8)
    around = cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]
    crossed = (around[0] == around[3]) & (around[1] == around[2]) & (around[0] != around[1])
    turns = np.sum(around, axis=0) % 2 + 2 * crossed
    y, x = np.nonzero(turns)
    return np.repeat(np.stack([x, y], axis=1), turns[y, x], axis=0)


def rings(white: NDArray[np.bool_]) -> list[Corners]:
    """The closed lines around the white parts, and around the holes in them: (n, 2) corners each, in order.

    Along each row the corners are joined in pairs, the first to the second, the third to the fourth; so they are along
    each column. A ring follows these in turn.
    """
    points = corners(white)
    beside, below = (_partners(points, axes) for axes in ((0, 1), (1, 0)))
    left, found = np.ones(len(points), dtype=bool), []
    for start in range(len(points)):
        ring, here, across = [], start, True
        while left[here]:
            left[here] = False
            ring.append(here)
            here, across = int((beside if across else below)[here]), not across
        if ring:
            found.append(points[ring])
    return found


def _partners(points: Corners, axes: tuple[int, int]) -> Corners:
    order = np.lexsort((points[:, axes[0]], points[:, axes[1]]))
    partners = np.empty(len(points), dtype=np.int64)
    partners[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    return partners


def _halved(white: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """White where two of four pixels or more are."""
    even = np.pad(white, [(0, length % 2) for length in white.shape], mode="edge")
    return np.sum([even[y::2, x::2] for y in (0, 1) for x in (0, 1)], axis=0) >= 2


def _words(ring: NDArray[np.float64]) -> str:
    """A ring of level and upright lines in turn, as SVG says it."""
    (x, y), *others = np.round(ring, 2).tolist()
    lines = "".join(f"H{x:g}" if place % 2 == 0 else f"V{y:g}" for place, (x, y) in enumerate(others))
    return f"M{x:g} {y:g}{lines}z"
