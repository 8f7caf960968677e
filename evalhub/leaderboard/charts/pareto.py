"""Quality against cost, with the Pareto front."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.charts.drawing import ACCENT, TEXT, Picture, across_axis, data, folded, padding, simulated_note
from evalhub.leaderboard.charts.labels import ABOVE, BESIDE, SIDES, Side, sides
from evalhub.leaderboard.measures import Measure
from evalhub.leaderboard.pareto import COSTS, Offer
from raters.models import Fit

if TYPE_CHECKING:
    import altair

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
    return Picture(lambda width: _draw(drawn, by, cost, note, width), values)


def _draw(drawn: Sequence[Mapping[str, Any]], by: Measure, cost: str, note: str, width: int) -> "altair.LayerChart":
    import altair  # here, for it takes long to load, and few pages draw

    spans = _Span.of([value["cost"] for value in drawn]), _Span.of(_extent(drawn), logarithmic=False)
    across = altair.X(
        "cost:Q",
        title=folded(f"{COSTS[cost]} (self-reported; lower is better)", width),
        scale=altair.Scale(type="log" if spans[0].logarithmic else "linear", domain=spans[0].domain, nice=False),
        axis=spans[0].axis(width),
    )
    title = folded(by.axis + note, HEIGHT)
    scale = altair.Scale(domain=spans[1].domain, nice=False, reverse=not by.higher_is_better)
    up = altair.Y("value:Q", title=title, scale=scale)
    everybody = altair.Chart(data(drawn))
    best = altair.Chart(data(value for value in drawn if value["on_front"]))
    others = altair.Chart(data(value for value in drawn if not value["on_front"]))
    layers = [
        best.mark_line(stroke=ACCENT, strokeWidth=1.5, opacity=0.5, interpolate="step-after").encode(x=across, y=up),
        everybody.mark_rule(stroke=TEXT, strokeWidth=1.5, opacity=0.35).encode(
            x=across, y=altair.Y("low:Q", title=title, scale=scale), y2="high:Q"
        ),
        others.mark_point(filled=False, size=60, stroke=TEXT, opacity=0.9).encode(x=across, y=up),
        best.mark_point(filled=True, size=80, color=ACCENT, opacity=1).encode(x=across, y=up),
        *(
            altair.Chart(data(named))
            .mark_text(align=align, dx=dx * BESIDE, dy=dy * ABOVE, fontSize=11)
            .encode(x=across, y=up, text="name:N")
            for (align, dx, dy), named in _named(drawn, spans, width, upwards=by.higher_is_better)
        ),
    ]
    names = ", ".join(value["contestant"] for value in drawn if value["on_front"])
    return altair.LayerChart(layer=layers).properties(
        width=width,
        height=HEIGHT,
        background="transparent",
        padding=padding(right=[value["name"] for value in drawn]),
        description=f"{by.title} against {COSTS[cost].lower()}; on the Pareto front: {names}.{note}",
    )


@dataclass(frozen=True)
class _Span:
    """What an axis shows. Values over more than a power of ten are told apart on a logarithmic one only."""

    domain: tuple[float, float]
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float], *, logarithmic: bool = True) -> "_Span":
        low, high = min(values), max(values)
        if logarithmic and low > 0 and high / low > 10:
            margin = (high / low) ** 0.06
            return cls((low / margin, high * margin), True)
        margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        return cls((low - margin, high + margin), False)

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        low, high = self.domain
        if self.logarithmic:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    def axis(self, width: int) -> "altair.Axis":
        """With a line for each power of ten where there are few values between them."""
        if not self.logarithmic:
            return across_axis(width)
        powers = range(math.ceil(math.log10(self.domain[0])), math.floor(math.log10(self.domain[1])) + 1)
        if len(powers) < 2:
            return across_axis(width)
        import altair

        return altair.Axis(labelFlush=False, values=[10.0**power for power in powers], format="~g")


def _extent(drawn: Sequence[Mapping[str, Any]]) -> list[float]:
    """Every value and both ends of its interval."""
    return [value[name] for value in drawn for name in ("value", "low", "high") if value[name] is not None]


def _named(
    drawn: Sequence[Mapping[str, Any]], spans: tuple[_Span, _Span], width: int, *, upwards: bool
) -> list[tuple[Side, list[Mapping[str, Any]]]]:
    """The points by the side that their names are on; a name that finds no room is in the table only."""
    points = []
    for value in drawn:
        x, y = spans[0].share(value["cost"]), spans[1].share(value["value"])
        points.append((x * width, (1 - y if upwards else y) * HEIGHT))
    found = sides(points, [value["name"] for value in drawn], width)
    by_side = [
        (side, [value for value, which in zip(drawn, found, strict=True) if which == place])
        for place, side in enumerate(SIDES)
    ]
    return [(side, named) for side, named in by_side if named]
