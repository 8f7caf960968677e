"""Quality against cost: who offers more than everybody who costs as little."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalhub.leaderboard.measures import Measure, Point, point
from evalhub.leaderboard.tables import FACTS, Leaderboard
from evalhub.studies.models import Checkpoint

COSTS = {"latency": "Latency, seconds per output", "price": "Price, US dollars per output"}


@dataclass(frozen=True)
class Offer:
    """A contestant's cost, as its team reports it, and quality.

    Args:
        on_front: whether no other is at least as good and as cheap, and better in one of the two, by the point
            estimates.
    """

    checkpoint: Checkpoint
    cost: float
    point: Point
    on_front: bool


def offers(board: Leaderboard, by: Measure, cost: str) -> list[Offer]:
    """Everybody with both, the cheapest first. A withdrawn contestant cannot be had and is not among them."""
    found: list[tuple[Checkpoint, float, Point]] = []
    for row in board.rows:
        price, quality = getattr(row.checkpoint, FACTS[cost]), point(board, row, by)
        if price is not None and quality is not None and row.checkpoint.withdrawn_at is None:
            found.append((row.checkpoint, price, quality))
    sign = 1 if by.higher_is_better else -1
    best = front([(price, sign * quality.value) for _, price, quality in found])
    listed = [Offer(*one, on_front=which) for one, which in zip(found, best, strict=True)]
    return sorted(listed, key=lambda offer: (offer.cost, -sign * offer.point.value, str(offer.checkpoint)))


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which (cost, quality) no other point beats: none as cheap and as good that is better in one of the two."""
    best_below: dict[int, bool] = {}
    highest, cost_of_highest = float("-inf"), float("nan")
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        cost, quality = points[place]
        as_good = quality == highest and cost == cost_of_highest
        best_below[place] = quality > highest or as_good
        if quality > highest:
            highest, cost_of_highest = quality, cost
    return [best_below[place] for place in range(len(points))]
