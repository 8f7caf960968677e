"""How a leaderboard writes its numbers."""

from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from evalhub.leaderboard.tables import SCORING, Cell, Column
from metrics.engine import registry
from metrics.models import Run, ScoreState
from raters.models import Rating

register = template.Library()

NOTHING = SafeString('<span class="none" aria-label="none">–</span>')


def figure(value: float, digits: int | None = None) -> str:
    """Four significant digits, or as many decimals as asked; a true minus sign."""
    text = f"{value:,.{digits}f}" if digits is not None else _four_digits(value)
    return text.replace("-", "−")


def _four_digits(value: float) -> str:
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    for least, digits in ((100, 1), (10, 2), (0.1, 3), (0.01, 4)):
        if size >= least:
            return f"{value:.{digits}f}"
    return f"{value:.3g}" if value else "0"


def with_interval(value: float, low: float | None, high: float | None, digits: int | None = None) -> str:
    """A number with its interval below it."""
    if low is None or high is None:
        return format_html("<b>{}</b>", figure(value, digits))
    return format_html(
        "<b>{}</b><small>{} … {}</small>", figure(value, digits), figure(low, digits), figure(high, digits)
    )


@register.simple_tag
def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


@register.simple_tag
def elo(rating: Rating | None) -> str:
    """A rating with its interval, or a dash where the votes cannot place the contestant."""
    if rating is None or rating.rating is None:
        return NOTHING
    return with_interval(rating.rating, rating.low, rating.high, 0)


@register.simple_tag
def rank_interval(rating: Rating | None) -> str:
    """The ranks a contestant may have, as the simultaneous intervals allow."""
    if rating is None or rating.rating is None:
        return NOTHING
    if rating.rank_low is None or rating.rank_high is None:
        return SafeString(
            '<span class="none" title="Wins or losses only so far: a rating, but no rank yet">provisional</span>'
        )
    if rating.rank_low == rating.rank_high:
        return str(rating.rank_low)
    return f"{rating.rank_low}–{rating.rank_high}"


@register.simple_tag
def score_cell(cell: Cell) -> str:
    """A score with its interval and n, or why there is none."""
    if cell.state == ScoreState.DONE and cell.value is not None:
        return format_html("{}<small>n = {}</small>", with_interval(cell.value, cell.low, cell.high), f"{cell.n:,}")
    if not cell.state:
        return NOTHING
    if cell.state == SCORING:
        return SafeString('<span class="none">scoring …</span>')
    return format_html(
        '<details class="why"><summary><span class="badge waiting">{}</span></summary><p>{}</p></details>',
        ScoreState(cell.state).label.lower(),
        cell.note,
    )


@register.filter
def metric_titles(run: Run) -> str:
    """What a run computes, by the metrics' titles."""
    return ", ".join(registry.METRICS[name].title for name in run.metrics)


@register.simple_tag
def position_effect(position: dict[str, Any]) -> str:
    """The left side's advantage in Elo."""
    if position.get("value") is None:
        return "not fitted"
    error = position.get("se")
    return f"{figure(position['value'], 1)} Elo" + (f" ± {figure(1.96 * error, 1)}" if error is not None else "")


@register.simple_tag(takes_context=True)
def sortable(
    context: template.Context,
    key: str,
    title: str,
    *,
    numeric: bool = False,
    column: Column | None = None,
    reported: bool = False,
) -> str:
    """A column's head; its link orders the table by it, and the other way round when it already does.

    `key` carries the direction in which the column is first ordered: best first.
    """
    first = f"-{key}" if column is not None and column.higher_is_better else key
    current = context["sort"]
    plain = first.removeprefix("-")
    active = current.removeprefix("-") == plain
    turned = (plain if current.startswith("-") else f"-{plain}") if active else first
    kept = dict(pair.split("=", 1) for pair in context["query"].split("&") if "=" in pair)
    direction = ("descending" if current.startswith("-") else "ascending") if active else "none"
    better = SafeString("")
    if column is not None:
        mark = "higher is better" if column.higher_is_better else "lower is better"
        better = format_html(
            '<small title="{}">{} {}</small>', column.unit, "↑" if column.higher_is_better else "↓", mark
        )
    if reported:
        better = SafeString("<small>self-reported</small>")
    return format_html(
        '<th scope="col"{} aria-sort="{}"><a href="?{}">{}</a>{}</th>',
        SafeString(' class="num"') if numeric else "",
        direction,
        urlencode({**kept, "sort": turned}),
        title,
        better,
    )
