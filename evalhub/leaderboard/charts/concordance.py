"""Which metrics agree with people."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair

from evalhub.leaderboard.charts.drawing import ACCENT, ROW_HEIGHT, WIDTH, Picture, data, padding, simulated_note
from evalhub.leaderboard.models import MetricAgreement
from raters.models import Fit


@dataclass(frozen=True)
class Agreed:
    """A metric's column by its title and what was found of it."""

    title: str
    found: MetricAgreement


def agreement_chart(rows: Sequence[Agreed], fit: Fit | None) -> Picture | None:
    """Kendall's τ-b of each metric on its 95 % interval; nothing where no metric has one."""
    values = [
        {
            "metric": row.title,
            **{name: getattr(row.found, name) for name in VALUES},
        }
        for row in rows
    ]
    drawn = [value for value in values if value["tau"] is not None]
    if not drawn:
        return None
    names = [str(value["metric"]) for value in drawn]
    note = simulated_note(fit)
    place = altair.Y("metric:N", sort=names, title=None)
    scale = altair.Scale(domain=[-1, 1])
    axis = altair.Axis(labelFlush=False, values=[-1, -0.5, 0, 0.5, 1])
    base = altair.Chart(data(drawn))
    title = "Kendall’s τ-b with the people’s ratings, with its 95 % interval; 1 is full agreement" + note
    interval = base.mark_rule(strokeWidth=2, stroke=ACCENT, opacity=0.55).encode(
        y=place, x=altair.X("tau_low:Q", title=title, scale=scale, axis=axis), x2="tau_high:Q"
    )
    dot = base.mark_point(filled=True, size=70, color=ACCENT, opacity=1).encode(y=place, x=altair.X("tau:Q"))
    parts = [f"{value['metric']} {value['tau']:.2f}" for value in drawn]
    chart = altair.LayerChart(layer=[interval, dot]).properties(
        width=WIDTH,
        height=ROW_HEIGHT * len(drawn),
        background="transparent",
        padding=padding(names),
        description=f"Agreement of metrics with people, Kendall’s τ-b: {'; '.join(parts)}.{note}",
    )
    return Picture(chart, values)


VALUES = (
    "tau",
    "tau_low",
    "tau_high",
    "rho",
    "rho_low",
    "rho_high",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "decisions",
    "contestants",
    "prompts",
)
