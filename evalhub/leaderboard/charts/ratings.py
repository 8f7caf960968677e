"""Each contestant's rating on its interval."""

from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.charts.drawing import (
    ACCENT,
    ROW_HEIGHT,
    Picture,
    across_axis,
    beside_names,
    data,
    folded,
    padding,
    simulated_note,
)
from evalhub.leaderboard.tables import Leaderboard

if TYPE_CHECKING:
    import altair


def ratings_chart(board: Leaderboard) -> Picture | None:
    """A dot on a 95 % interval for everybody rated, best at the top; nothing where nobody is."""
    values: list[dict[str, Any]] = [
        {
            "contestant": str(row.checkpoint),
            "rating": row.rating.rating,
            "low": row.rating.low,
            "high": row.rating.high,
        }
        for row in board.rated
        if row.rating
    ]
    if not values:
        return None
    return Picture(lambda width: _draw(values, simulated_note(board.fit), width), values)


def _draw(values: list[dict[str, Any]], note: str, width: int) -> "altair.LayerChart":
    import altair  # here, for it takes long to load, and few pages draw

    names = [value["contestant"] for value in values]
    width = beside_names(width, names)
    place = altair.Y("contestant:N", sort=names, title=None)
    base = altair.Chart(data(values))
    interval = base.mark_rule(strokeWidth=2, stroke=ACCENT, opacity=0.55).encode(
        y=place,
        x=altair.X(
            "low:Q",
            title=folded("Elo, with its 95 % interval" + note, width),
            scale=altair.Scale(zero=False, nice=True, padding=12),
            axis=across_axis(width),
        ),
        x2="high:Q",
    )
    dot = base.mark_point(filled=True, size=70, color=ACCENT, opacity=1).encode(y=place, x=altair.X("rating:Q"))
    return altair.LayerChart(layer=[interval, dot]).properties(
        width=width,
        height=ROW_HEIGHT * len(values),
        background="transparent",
        padding=padding(names),
        description=_described(values) + note,
    )


def _described(values: list[dict[str, Any]]) -> str:
    """What the picture says, for those who do not see it."""
    parts = [
        f"{value['contestant']} {value['rating']:.0f} ({value['low']:.0f} to {value['high']:.0f})" for value in values
    ]
    return "Elo ratings with 95 % intervals: " + "; ".join(parts) + "."
