"""Which metrics agree with people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.charts.drawing import (
    ACCENT,
    ROW_HEIGHT,
    Picture,
    beside_names,
    data,
    folded,
    padding,
    simulated_note,
)
from evalhub.leaderboard.models import MetricAgreement
from raters.models import Fit

if TYPE_CHECKING:
    import altair


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
    return Picture(lambda width: _draw(drawn, simulated_note(fit), width), values)


def _draw(drawn: Sequence[Mapping[str, Any]], note: str, width: int) -> "altair.LayerChart":
    import altair  # here, for it takes long to load, and few pages draw

    names = [str(value["metric"]) for value in drawn]
    width = beside_names(width, names)
    place = altair.Y("metric:N", sort=names, title=None)
    base = altair.Chart(data(drawn))
    across = altair.X(
        "tau_low:Q",
        title=folded("Kendall’s τ-b with people’s ratings, with its 95 % interval; 1 is full agreement" + note, width),
        scale=altair.Scale(domain=[-1, 1]),
        axis=altair.Axis(labelFlush=False, values=[-1, -0.5, 0, 0.5, 1]),
    )
    interval = base.mark_rule(strokeWidth=2, stroke=ACCENT, opacity=0.55).encode(y=place, x=across, x2="tau_high:Q")
    dot = base.mark_point(filled=True, size=70, color=ACCENT, opacity=1).encode(y=place, x=altair.X("tau:Q"))
    parts = "; ".join(f"{value['metric']} {value['tau']:.2f}" for value in drawn)
    return altair.LayerChart(layer=[interval, dot]).properties(
        width=width,
        height=ROW_HEIGHT * len(drawn),
        background="transparent",
        padding=padding(names),
        description=f"Agreement of metrics with people, Kendall’s τ-b: {parts}.{note}",
    )


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
