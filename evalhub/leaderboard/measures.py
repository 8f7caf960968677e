"""One figure per contestant that can be followed over training or set against cost: the rating, or a metric."""

from dataclasses import dataclass

from evalhub.leaderboard.columns import Column
from evalhub.leaderboard.tables import Leaderboard, Row

RATING = "rating"


@dataclass(frozen=True)
class Measure:
    """Args:
    key: in addresses: `rating`, or a metric column's key.
    column: the metric's; None for the rating.
    """

    key: str
    title: str
    higher_is_better: bool
    column: Column | None = None

    @property
    def axis(self) -> str:
        """What the axis says."""
        unit = f", {self.column.unit}" if self.column and self.column.unit else ""
        return f"{self.title}{unit} ({'higher' if self.higher_is_better else 'lower'} is better)"


@dataclass(frozen=True)
class Point:
    """A value with its 95 % interval, if it has one."""

    value: float
    low: float | None
    high: float | None


def measures(board: Leaderboard) -> list[Measure]:
    """The rating, then every metric column that somebody has a value in."""
    return [
        Measure(RATING, "Elo", True),
        *(
            Measure(column.key, _title(board, column), column.higher_is_better, column)
            for place, column in enumerate(board.columns)
            if any(row.cells[place].value is not None for row in board.rows)
        ),
    ]


def measure(board: Leaderboard, key: str) -> Measure:
    """The one called `key`; the rating for a name that there is not."""
    offered = measures(board)
    return next((one for one in offered if one.key == key), offered[0])


def point(board: Leaderboard, row: Row, by: Measure) -> Point | None:
    """A contestant's value; None where it has none."""
    if by.column is None:
        rating = row.rating
        return None if rating is None or rating.rating is None else Point(rating.rating, rating.low, rating.high)
    cell = board.cell(row, by.column)
    return None if cell.value is None else Point(cell.value, cell.low, cell.high)


def _title(board: Leaderboard, column: Column) -> str:
    """Two protocols of one metric are told apart by their fingerprints."""
    alike = [other for other in board.columns if other.metric == column.metric and other.fingerprint]
    return f"{column.title} · {column.fingerprint[:8]}" if len(alike) > 1 else column.title
