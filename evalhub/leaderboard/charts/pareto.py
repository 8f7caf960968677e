"""Quality against cost, with the Pareto front."""

from collections.abc import Sequence

import altair

from evalhub.leaderboard.charts.drawing import ACCENT, TEXT, WIDTH, Picture, data, simulated_note
from evalhub.leaderboard.measures import Measure
from evalhub.leaderboard.pareto import COSTS, Offer
from raters.models import Fit

HEIGHT = 340
# With more contestants only those on the front are named in the drawing.
MOST_NAMED = 15


def pareto_chart(offers: Sequence[Offer], by: Measure, cost: str, fit: Fit | None) -> Picture | None:
    """Filled and joined: on the front. Hollow: somebody else is as good for less. Nothing where nobody has both."""
    if not offers:
        return None
    values = [
        {
            "contestant": str(offer.checkpoint),
            cost: offer.cost,
            by.key: offer.point.value,
            "low": offer.point.low,
            "high": offer.point.high,
            "on_front": offer.on_front,
        }
        for offer in offers
    ]
    drawn = [
        {
            **value,
            "cost": value[cost],
            "value": value[by.key],
            "name": value["contestant"] if value["on_front"] or len(offers) <= MOST_NAMED else "",
        }
        for value in values
    ]
    note = simulated_note(fit) if by.column is None else ""
    costs = [offer.cost for offer in offers]
    # Costs that span more than one power of ten are told apart on a logarithmic scale only.
    wide = min(costs) > 0 and max(costs) / min(costs) > 10
    across = altair.X(
        "cost:Q",
        title=f"{COSTS[cost]} (self-reported; lower is better)",
        scale=altair.Scale(type="log", nice=True, padding=20) if wide else altair.Scale(zero=False, padding=30),
        axis=altair.Axis(labelFlush=False, tickCount=6),
    )
    up = altair.Y(
        "value:Q",
        title=by.axis + note,
        scale=altair.Scale(zero=False, nice=True, padding=14, reverse=not by.higher_is_better),
    )
    everybody = altair.Chart(data(drawn))
    best = altair.Chart(data(value for value in drawn if value["on_front"]))
    others = altair.Chart(data(value for value in drawn if not value["on_front"]))
    beside = {"align": "left", "dx": 9, "dy": -8, "fontSize": 11}
    layers = [
        best.mark_line(stroke=ACCENT, strokeWidth=1.5, opacity=0.5, interpolate="step-after").encode(x=across, y=up),
        everybody.mark_rule(stroke=TEXT, strokeWidth=1.5, opacity=0.35).encode(
            x=across, y=altair.Y("low:Q", title=by.axis + note), y2="high:Q"
        ),
        others.mark_point(filled=False, size=60, stroke=TEXT, opacity=0.9).encode(x=across, y=up),
        best.mark_point(filled=True, size=80, color=ACCENT, opacity=1).encode(x=across, y=up),
        everybody.mark_text(**beside).encode(x=across, y=up, text="name:N"),
    ]
    names = ", ".join(str(offer.checkpoint) for offer in offers if offer.on_front)
    chart = altair.LayerChart(layer=layers).properties(
        width=WIDTH,
        height=HEIGHT,
        background="transparent",
        padding=5,
        description=f"{by.title} against {COSTS[cost].lower()}; on the Pareto front: {names}.{note}",
    )
    return Picture(chart, values)
