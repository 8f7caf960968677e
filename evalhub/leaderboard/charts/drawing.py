"""From a Vega-Lite chart to what a page shows and a reader takes home."""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raters.models import Fit

# What draws takes long to load: it is loaded when something is drawn, not by every web server that starts.
if TYPE_CHECKING:
    import altair

    Chart = altair.Chart | altair.LayerChart | altair.FacetChart | altair.VConcatChart

# Two stand-ins that the page's own colours replace, so that one drawing serves light and dark.
TEXT = "#010203"
ACCENT = "#040506"
# Of the plot without its labels, in pixels: on a page, and on a telephone.
WIDTH, NARROW = 560, 230
TELEPHONE, LEAST_WIDTH = 275, 140  # with names and plot; the plot alone
ROW_HEIGHT = 26
# A browser's letters may be wider than those that the names were measured with: room for that, per letter.
LETTER_MARGIN = 1.5
LETTER_WIDTH = 6.3  # about, in pixels at 12 pixels' height
FONT = "system-ui, sans-serif"
# A layer without a mark, which to who listens to a page would be a picture without a name.
EMPTY = re.compile(r'<g class="mark-[^>]* role="graphics-[^>]*(?:/>|></g>)')


@dataclass(frozen=True)
class Picture:
    """A chart and the rows that it was drawn from, which are its download as data.

    Args:
        draw: the chart with a plot of so many pixels' width.
    """

    draw: "Callable[[int], Chart]"
    values: Sequence[Mapping[str, Any]]


def data(values: Iterable[Mapping[str, Any]]) -> "altair.Data":
    import altair

    return altair.Data(values=list(values))


def padding(left: Iterable[str] = (), right: Iterable[str] = ()) -> dict[str, float]:
    """Room around a drawing with these names at its left and at its right, where half of a number may stand out too."""
    sides = (("left", 5, left), ("right", 14, right))
    room = {side: least + LETTER_MARGIN * max(map(len, names), default=0) for side, least, names in sides}
    return {**room, "top": 5, "bottom": 5}


def beside_names(width: int, names: Iterable[str], numbers: int = 0) -> int:
    """The width of a plot that has names at one side: on a telephone it gives way to them.

    Args: numbers: pixels of the numbers at its other side.
    """
    longest = max(map(len, names), default=0)
    return width if width > NARROW else max(LEAST_WIDTH, TELEPHONE - numbers - int(LETTER_WIDTH * longest))


def across_axis(width: int) -> "altair.Axis":
    """Not flush: shifted inwards, the outer numbers would run into their neighbours."""
    import altair

    return altair.Axis(labelFlush=False, tickCount=max(3, width // 75))


def folded(title: str, width: int) -> list[str]:
    """A title in lines that are no longer than the axis."""
    return textwrap.wrap(title, max(20, int(width / LETTER_WIDTH)))


def simulated_note(fit: Fit | None) -> str:
    """What a picture has to say by itself, since it is taken away from the page."""
    return f" ({fit.simulated_votes:,} of {fit.votes:,} votes simulated)" if fit and fit.simulated_votes else ""


def inline_svg(picture: Picture, width: int = WIDTH) -> str:
    """The drawing for a page: it takes the page's text and accent colours."""
    drawn = EMPTY.sub("", _drawn(_configured(picture.draw(width))))
    return drawn.replace(TEXT, "currentColor").replace(ACCENT, "var(--accent)")


def plain_svg(picture: Picture) -> str:
    """The drawing for a paper or a slide: dark on nothing."""
    return _drawn(_configured(picture.draw(WIDTH))).replace(TEXT, "#222222").replace(ACCENT, "#1f6feb")


def png(picture: Picture) -> bytes:
    """The same at twice the pixels."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(plain_svg(picture), scale=2))


def _configured(chart: "Chart") -> str:
    quiet: dict[str, Any] = {"labelColor": TEXT, "titleColor": TEXT, "labelFont": FONT, "titleFont": FONT}
    configured = (
        chart.configure_axis(
            **quiet,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelLimit=0,
            grid=True,
            gridColor=TEXT,
            gridOpacity=0.12,
            domain=False,
            ticks=False,
            labelPadding=8,
            titlePadding=10,
        )
        .configure_header(**quiet, labelFontSize=12, labelFontWeight="bold", labelAnchor="start", labelLimit=0)
        .configure_title(font=FONT, fontSize=13, fontWeight="bold", color=TEXT)
        .configure_text(font=FONT, fontSize=12, color=TEXT)
        .configure_view(stroke=None)
    )
    return json.dumps(configured.to_dict(), sort_keys=True)


@lru_cache(maxsize=128)
def _drawn(specification: str) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(specification))
