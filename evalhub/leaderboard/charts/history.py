"""Ratings over the votes, fit by fit."""

from collections.abc import Sequence

import altair

from evalhub.leaderboard.charts.drawing import ACCENT, TEXT, WIDTH, Picture, data, simulated_note
from evalhub.leaderboard.history import Trace
from raters.models import Fit

HEIGHT = 340
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
    note = simulated_note(fit)
    across = altair.X("votes:Q", title="Votes counted" + note, axis=altair.Axis(labelFlush=False, tickCount=6))
    up = altair.Y("rating:Q", title="Elo", scale=altair.Scale(zero=False, nice=True, padding=8))
    others = altair.Chart(data(value for value in values if value["contestant"] in names[1:]))
    leader = altair.Chart(data(value for value in values if value["contestant"] == names[0]))
    ends = altair.Chart(data(_ends(values, names)))
    layers = [
        others.mark_line(stroke=TEXT, strokeWidth=1.25, opacity=0.45).encode(x=across, y=up, detail="contestant:N"),
        leader.mark_area(fill=ACCENT, opacity=0.15).encode(x=across, y=altair.Y("low:Q", title="Elo"), y2="high:Q"),
        leader.mark_line(stroke=ACCENT, strokeWidth=2).encode(x=across, y=up),
        ends.mark_text(align="left", dx=6, fontSize=11).encode(x=across, y=up, text="contestant:N"),
    ]
    chart = altair.LayerChart(layer=layers).properties(
        width=WIDTH,
        height=HEIGHT,
        background="transparent",
        padding={"left": 5, "top": 5, "bottom": 5, "right": 5},
        description=f"Ratings over votes; the leader is {names[0]}.{note}",
    )
    return Picture(chart, values)


def _ends(values: Sequence[dict[str, object]], names: Sequence[str]) -> list[dict[str, object]]:
    """Each line's last point."""
    last = {value["contestant"]: value for value in values}
    return [last[name] for name in names]
