"""A measure over training steps, one panel per family."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.charts.drawing import ACCENT, Picture, across_axis, data, folded, simulated_note
from evalhub.leaderboard.curves import Curve
from evalhub.leaderboard.measures import Measure
from raters.models import Fit

if TYPE_CHECKING:
    import altair

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
    shown = sorted((curve.family for curve in curves[:MOST_PANELS]), key=str.casefold)
    drawn = [{**value, "value": value[by.key]} for value in values if value["family"] in shown]
    note = simulated_note(fit) if by.column is None else ""
    return Picture(lambda width: _draw(drawn, shown, by, note, width), values)


def _draw(
    drawn: Sequence[Mapping[str, Any]], families: Sequence[str], by: Measure, note: str, width: int
) -> "altair.VConcatChart":
    import altair  # here, for it takes long to load, and few pages draw

    across = altair.X(
        "step:Q",
        title=folded("Training step" + note, width),
        scale=altair.Scale(zero=False, nice=False, padding=14),
        axis=across_axis(width),
    )
    scale, axis = altair.Scale(zero=False, nice=True, padding=8), altair.Axis(tickCount=5)
    up = altair.Y("value:Q", title=by.title, scale=scale, axis=axis)
    base = altair.Chart(data(drawn))
    layers = [
        base.mark_line(stroke=ACCENT, strokeWidth=1.5, opacity=0.6).encode(x=across, y=up),
        base.mark_rule(stroke=ACCENT, strokeWidth=2, opacity=0.55).encode(
            x=across, y=altair.Y("low:Q", title=by.title, scale=scale, axis=axis), y2="high:Q"
        ),
        base.mark_point(filled=True, size=60, color=ACCENT, opacity=1).encode(x=across, y=up),
    ]
    panels = [
        altair.LayerChart(layer=layers)
        .transform_filter(altair.FieldEqualPredicate(field="family", equal=family))
        .properties(width=width, height=PANEL_HEIGHT, title=altair.TitleParams(folded(family, width), anchor="start"))
        for family in families
    ]
    return (
        altair.VConcatChart(vconcat=panels, spacing=22)
        .resolve_scale(x="shared", y="shared")
        .properties(
            background="transparent",
            description=f"{by.axis} over training steps with 95 % intervals: {', '.join(families)}.{note}",
        )
    )
