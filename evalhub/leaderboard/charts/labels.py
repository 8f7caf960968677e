"""Where names go in a drawing, so that none is printed over another. All in pixels."""

from collections.abc import Sequence
from typing import Literal

LETTER, LINE = 6.6, 13.0  # about, of a name's letters at 11 pixels; browsers' fonts differ, so on the large side
# Beside its point a name begins so far to the right, or ends so far to the left, and so far above or below.
BESIDE, ABOVE = 9.0, 8.0
# How a name may lie: its alignment, and which way it is moved.
Side = tuple[Literal["left", "right"], int, int]
SIDES: tuple[Side, ...] = (("left", 1, -1), ("left", 1, 1), ("right", -1, -1), ("right", -1, 1))

Box = tuple[float, float, float, float]


def spread(places: Sequence[float], gap: float) -> list[float]:
    """The same places at least `gap` apart, in the same order, each group kept around its mean.

    Neighbours that are too near become a block; blocks that then touch are joined.
    """
    order = sorted(range(len(places)), key=lambda at: places[at])
    blocks: list[list[int]] = []
    for at in order:
        blocks.append([at])
        while len(blocks) > 1 and _bottom(blocks[-1], places, gap) - _top(blocks[-2], places, gap) < gap:
            upper = blocks.pop()
            blocks[-1] += upper
    found = [0.0] * len(places)
    for block in blocks:
        for place, at in enumerate(block):
            found[at] = _bottom(block, places, gap) + place * gap
    return found


def _bottom(block: Sequence[int], places: Sequence[float], gap: float) -> float:
    return sum(places[at] for at in block) / len(block) - gap * (len(block) - 1) / 2


def _top(block: Sequence[int], places: Sequence[float], gap: float) -> float:
    return _bottom(block, places, gap) + gap * (len(block) - 1)


def sides(points: Sequence[tuple[float, float]], names: Sequence[str], width: float) -> list[int | None]:
    """For each point with a name one of SIDES on which it meets no point and no name before it; else None.

    One that lies within the width is preferred; a name may stand out to the right, but not to the left.
    """
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    found: list[int | None] = []
    for at, (point, name) in enumerate(zip(points, names, strict=True)):
        boxes = [_box(point, len(name) * LETTER, side) for side in SIDES]
        others = taken[:at] + taken[at + 1 :]
        free = [place for place, box in enumerate(boxes) if box[0] >= 0 and not any(_meet(box, one) for one in others)]
        best = min(free, key=lambda place: (boxes[place][2] > width, place), default=None) if name else None
        found.append(best)
        if best is not None:
            taken.append(boxes[best])
    return found


def _box(point: tuple[float, float], length: float, side: Side) -> Box:
    """Left, top, right and bottom of a name beside a point; y grows downwards."""
    _, across, down = side
    left = point[0] + (BESIDE if across > 0 else -BESIDE - length)
    middle = point[1] + down * ABOVE
    return left, middle - LINE / 2, left + length, middle + LINE / 2


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
