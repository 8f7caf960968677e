"""A measure over training steps, one panel per family."""

from collections.abc import Sequence

import altair

from evalhub.leaderboard.charts.drawing import ACCENT, WIDTH, Picture, data, simulated_note
from evalhub.leaderboard.curves import Curve
from evalhub.leaderboard.measures import Measure
from raters.models import Fit

PANEL_HEIGHT = 170
MOST_PANELS = 12  # the download has all


def curves_chart(curves: Sequence[Curve], by: Measure, fit: Fit | None) -> Picture | None:
    """Dots on their 95 % intervals, joined; the same scales in every panel. Nothing where there is no curve."""
    if not curves:
        return None
    values = [
        {
            "family": curve.family,
            "checkpoint": step.checkpoint.name,
            "step": step.step,
            by.key: step.point.value,
            "low": step.point.low,
            "high": step.point.high,
        }
        for curve in curves
        for step in curve.steps
        if step.point
    ]
    shown = {curve.family for curve in curves[:MOST_PANELS]}
    drawn = [{**value, "value": value[by.key]} for value in values if value["family"] in shown]
    note = simulated_note(fit) if by.column is None else ""
    across = altair.X("step:Q", title="Training step", axis=altair.Axis(labelFlush=False, tickCount=6))
    scale = altair.Scale(zero=False, nice=True, padding=8)
    up = altair.Y("value:Q", title=by.axis + note, scale=scale, axis=altair.Axis(tickCount=5))
    base = altair.Chart(data(drawn))
    layers = [
        base.mark_line(stroke=ACCENT, strokeWidth=1.5, opacity=0.6).encode(x=across, y=up),
        base.mark_rule(stroke=ACCENT, strokeWidth=2, opacity=0.55).encode(
            x=across, y=altair.Y("low:Q", title=by.axis + note, scale=scale), y2="high:Q"
        ),
        base.mark_point(filled=True, size=60, color=ACCENT, opacity=1).encode(x=across, y=up),
    ]
    panels = [
        altair.LayerChart(layer=layers)
        .transform_filter(altair.FieldEqualPredicate(field="family", equal=family))
        .properties(width=WIDTH, height=PANEL_HEIGHT, title=altair.TitleParams(family, anchor="start", fontSize=13))
        for family in sorted(shown, key=str.casefold)
    ]
    chart = (
        altair.VConcatChart(vconcat=panels, spacing=22)
        .resolve_scale(x="shared", y="shared")
        .properties(
            background="transparent",
            description=f"{by.title} over training steps with 95 % intervals: {', '.join(sorted(shown))}.{note}",
        )
    )
    return Picture(chart, values)
