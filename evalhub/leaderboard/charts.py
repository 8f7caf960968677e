"""Pictures of a leaderboard, drawn on the server by Vega-Lite. Text stays text, and no script runs in the browser."""

import json
from functools import lru_cache
from typing import Any

import altair
import vl_convert

from evalhub.leaderboard.tables import Leaderboard

# Two stand-ins that the page's own colours replace, so that one drawing serves light and dark.
TEXT = "#010203"
ACCENT = "#040506"
ROW_HEIGHT = 26
# A browser's letters may be wider than those that the names were measured with: room for that, per letter and at most.
LETTER_MARGIN, WIDEST_MARGIN = 1.5, 60


def ratings_chart(board: Leaderboard) -> altair.LayerChart | None:
    """Each contestant's rating as a dot on its 95 % interval, best at the top; nothing where nothing is rated."""
    rated = [row for row in board.rows if row.rating is not None and row.rating.rating is not None]
    if not rated:
        return None
    rated.sort(key=lambda row: -(row.rating.rating or 0) if row.rating else 0)
    names = [str(row.checkpoint) for row in rated]
    title = "Elo, with its 95 % interval" + _simulated(board)
    values = [
        {
            "contestant": str(row.checkpoint),
            "rating": row.rating.rating,
            "low": row.rating.low,
            "high": row.rating.high,
        }
        for row in rated
        if row.rating
    ]
    place = altair.Y("contestant:N", sort=names, title=None)
    scale = altair.Scale(zero=False, nice=True, padding=12)
    base = altair.Chart(altair.Data(values=values))
    interval = base.mark_rule(strokeWidth=2, stroke=ACCENT, opacity=0.55).encode(
        y=place,
        # Not flush: shifted inwards, the outer numbers would run into their neighbours.
        x=altair.X("low:Q", title=title, scale=scale, axis=altair.Axis(labelFlush=False, tickCount=8)),
        x2="high:Q",
    )
    dot = base.mark_point(filled=True, size=70, color=ACCENT, opacity=1).encode(y=place, x=altair.X("rating:Q"))
    return altair.LayerChart(layer=[interval, dot]).properties(
        width=560,
        height=ROW_HEIGHT * len(rated),
        background="transparent",
        padding={
            "left": min(5 + LETTER_MARGIN * max(map(len, names)), WIDEST_MARGIN),
            "top": 5,
            "right": 5,
            "bottom": 5,
        },
        description=_described(values) + _simulated(board),
    )


def _simulated(board: Leaderboard) -> str:
    """What a picture has to say by itself, since it is taken away from the page."""
    fit = board.fit
    return f" ({fit.simulated_votes:,} of {fit.votes:,} votes simulated)" if fit and fit.simulated_votes else ""


def _described(values: list[dict[str, Any]]) -> str:
    """What the picture says, for those who do not see it."""
    parts = [
        f"{value['contestant']} {value['rating']:.0f} ({value['low']:.0f} to {value['high']:.0f})" for value in values
    ]
    return "Elo ratings with 95 % intervals: " + "; ".join(parts) + "."


def _configured(chart: altair.LayerChart) -> str:
    font = "system-ui, sans-serif"
    quiet: dict[str, Any] = {
        "labelColor": TEXT,
        "titleColor": TEXT,
        "labelFont": font,
        "titleFont": font,
    }
    configured = chart.configure_axis(
        **quiet,
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
        labelLimit=260,
        grid=True,
        gridColor=TEXT,
        gridOpacity=0.12,
        domain=False,
        ticks=False,
        labelPadding=8,
        titlePadding=10,
    ).configure_view(stroke=None)
    return json.dumps(configured.to_dict(), sort_keys=True)


@lru_cache(maxsize=128)
def _drawn(specification: str) -> str:
    return str(vl_convert.vegalite_to_svg(specification))


def inline_svg(chart: altair.LayerChart) -> str:
    """The drawing for a page: it takes the page's text and accent colours."""
    drawn = _drawn(_configured(chart))
    return drawn.replace(TEXT, "currentColor").replace(ACCENT, "var(--accent)")


def plain_svg(chart: altair.LayerChart) -> str:
    """The drawing for a paper or a slide: dark on nothing."""
    return _drawn(_configured(chart)).replace(TEXT, "#222222").replace(ACCENT, "#1f6feb")


def png(chart: altair.LayerChart) -> bytes:
    """The same at twice the pixels."""
    return bytes(vl_convert.svg_to_png(plain_svg(chart), scale=2))
