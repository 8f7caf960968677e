"""Ratings over the votes, fit by fit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.charts.drawing import (
    ACCENT,
    TEXT,
    Picture,
    across_axis,
    beside_names,
    data,
    folded,
    padding,
    simulated_note,
)
from evalhub.leaderboard.charts.labels import LINE, spread
from evalhub.leaderboard.history import Trace
from raters.models import Fit

if TYPE_CHECKING:
    import altair

HEIGHT = 340
NUMBERS = 50  # pixels that the ratings take beside the plot
MARGIN = 20  # Elo above and below what has to be seen: every rating, and the leader's newest interval
# More lines than that cannot be followed; the download has all.
MOST_LINES = 12


def history_chart(traces: Sequence[Trace], fit: Fit | None) -> Picture | None:
    """A line per contestant with its name at the end, the leader's in the accent colour; nothing before two fits."""
    if max((len(trace.ratings) for trace in traces), default=0) < 2:
        return None
    values = [
        {
            "contestant": str(trace.checkpoint),
            "fit": str(frozen.pk),
            "frozen_at": frozen.created_at.isoformat(),
            "votes": frozen.votes,
            "rating": rating.rating,
            "low": rating.low,
            "high": rating.high,
        }
        for trace in traces
        for frozen, rating in trace.ratings
    ]
    names = [str(trace.checkpoint) for trace in traces[:MOST_LINES]]
    return Picture(lambda width: _draw(values, names, simulated_note(fit), width), values)


def _draw(values: Sequence[dict[str, Any]], names: Sequence[str], note: str, width: int) -> "altair.LayerChart":
    import altair  # here, for it takes long to load, and few pages draw

    drawn = [value for value in values if value["contestant"] in names]
    width = beside_names(width, names, NUMBERS)
    newest = next(value for value in reversed(drawn) if value["contestant"] == names[0])
    bounds = [value["rating"] for value in drawn] + [newest["low"], newest["high"]]
    lowest, highest = min(bounds) - MARGIN, max(bounds) + MARGIN
    across = altair.X("votes:Q", title=folded("Votes counted" + note, width), axis=across_axis(width))
    scale = altair.Scale(domain=[lowest, highest], nice=False)
    up = altair.Y("rating:Q", title="Elo", scale=scale)
    others = altair.Chart(data(value for value in values if value["contestant"] in names[1:]))
    leader = altair.Chart(data(value for value in values if value["contestant"] == names[0]))
    ends = altair.Chart(data(_ends(values, names, (highest - lowest) / HEIGHT)))
    layers = [
        others.mark_line(stroke=TEXT, strokeWidth=1.25, opacity=0.45).encode(x=across, y=up, detail="contestant:N"),
        leader.mark_area(fill=ACCENT, opacity=0.15, clip=True).encode(
            x=across, y=altair.Y("low:Q", title="Elo", scale=scale), y2="high:Q"
        ),
        leader.mark_line(stroke=ACCENT, strokeWidth=2).encode(x=across, y=up),
        ends.mark_text(align="left", dx=6, fontSize=11).encode(
            x=across, y=altair.Y("name_at:Q", title="Elo", scale=scale), text="contestant:N"
        ),
    ]
    return altair.LayerChart(layer=layers).properties(
        width=width,
        height=HEIGHT,
        background="transparent",
        padding=padding(right=names),
        description=f"Ratings over votes; the leader is {names[0]}.{note}",
    )


def _ends(values: Sequence[dict[str, Any]], names: Sequence[str], elo_per_pixel: float) -> list[dict[str, Any]]:
    """Each line's last point, and where its name goes beside it."""
    last = {value["contestant"]: value for value in values}
    ends = [last[name] for name in names]
    places = spread([end["rating"] for end in ends], LINE * elo_per_pixel)
    return [{**end, "name_at": place} for end, place in zip(ends, places, strict=True)]
