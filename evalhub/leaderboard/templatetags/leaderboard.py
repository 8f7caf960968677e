"""How a leaderboard writes its numbers and its links."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from evalhub.leaderboard.columns import Column
from evalhub.leaderboard.comparing import Difference
from evalhub.leaderboard.matrix import Pair
from evalhub.leaderboard.measures import Point
from evalhub.leaderboard.questions import encoded
from evalhub.leaderboard.scores import SCORING, Cell
from evalhub.leaderboard.summary import two_digits
from evalhub.leaderboard.tables import Leaderboard, Row
from evalhub.studies.templatetags.quantities import dollars, seconds
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
def measured(point: Point | None, is_rating: bool) -> str:
    """A measure with its interval; a rating in whole Elo."""
    return NOTHING if point is None else with_interval(point.value, point.low, point.high, 0 if is_rating else None)


@register.simple_tag
def amount(value: float) -> str:
    return figure(value)


@register.simple_tag
def change(difference: Difference) -> str:
    """A difference with its sign and its interval."""
    return _with_bounds(signed(difference.value), *map(signed, _bounds(difference)))


@register.simple_tag
def preferred(difference: Difference, of_first: bool = False) -> str:
    """The share of the votes that one of two has, the second unless said otherwise, with the interval of the second."""
    if of_first:
        return f"{(1 - difference.value) / 2:.0%}"
    return _with_bounds(*(f"{(1 + bound) / 2:.0%}" for bound in (difference.value, *_bounds(difference))))


@register.filter
def signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{figure(value)}"


def _bounds(difference: Difference) -> tuple[float, ...]:
    low, high = difference.low, difference.high
    return () if low is None or high is None else (low, high)


def _with_bounds(value: str, *bounds: str) -> str:
    return format_html("<b>{}</b><small>{} … {}</small>" if bounds else "<b>{}</b>", value, *bounds)


@register.filter
def at(mapping: Mapping[str, str], key: str) -> str:
    return mapping.get(key, "")


@register.simple_tag
def coefficient(value: float | None, low: float | None, high: float | None, as_share: bool = False) -> str:
    """A coefficient, or a share, with its interval."""
    if value is None:
        return NOTHING
    form = "{:.0%}" if as_share else "{:.2f}"
    text = format_html("<b>{}</b>", form.format(value).replace("-", "−"))
    if low is None or high is None:
        return text
    bounds = (form.format(bound).replace("-", "−") for bound in (low, high))
    return format_html("{}<small>{} … {}</small>", text, *bounds)


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
def cell_of(board: Leaderboard, row: Row, column: Column) -> str:
    """What a contestant has in a column."""
    if column.metric:
        return score_cell(board.cell(row, column))
    checkpoint = row.checkpoint
    match column.key:
        case "rating":
            return elo(row.rating)
        case "next":
            return _neighbour(row)
        case "comparisons":
            return f"{row.rating.comparisons if row.rating else 0:,}"
        case "win_rate" | "tie_rate" | "both_bad_rate":
            return share(getattr(row, column.key))
        case "latency":
            return _latency(checkpoint.latency_p50, checkpoint.latency_p95)
        case "price":
            return NOTHING if checkpoint.price is None else dollars(checkpoint.price)
        case "step":
            return NOTHING if checkpoint.step is None else f"{checkpoint.step:,}"
        case _:
            return format_html("{}", getattr(checkpoint, column.key)) if getattr(checkpoint, column.key) else NOTHING


def _neighbour(row: Row) -> str:
    if row.next is None:
        return NOTHING
    if row.next.separated:
        return SafeString('<span class="badge good">separated</span>')
    votes = row.next.more_votes
    text = "open" if votes is None else f"≈ {two_digits(votes):,} votes"
    return format_html('<span class="open-pair" title="{}">{}</span>', row.next.sentence, text)


def _latency(p50: float | None, p95: float | None) -> str:
    if p50 is None:
        return NOTHING
    return format_html("{}{}", seconds(p50), format_html("<small>p95 {}</small>", seconds(p95)) if p95 else "")


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


@register.simple_tag
def pair_cell(pair: Pair | None) -> str:
    """One cell of the head-to-head matrix: the row's win share, n, and how probably it is the better one."""
    if pair is None:
        return SafeString('<td class="self">·</td>')
    if pair.share is None:
        return SafeString('<td class="num"><span class="none">–</span><small>n = 0</small></td>')
    better = "" if pair.better is None else format_html("<small>P {}</small>", probability(pair.better))
    tint = "" if pair.better is None else f" tint-{round(pair.better * 10)}"
    return format_html(
        '<td class="num{}"><b>{}</b><small>n = {}</small>{}</td>', tint, f"{pair.share:.0%}", f"{pair.n:,}", better
    )


def probability(value: float) -> str:
    """Never a certainty: the ends are bounds."""
    if value > 0.995:
        return "> 99%"
    return "< 1%" if value < 0.005 else f"{value:.0%}"


@register.filter
def metric_titles(run: Run) -> str:
    """What a run computes, by the metrics' titles."""
    return ", ".join(registry.METRICS[name].title for name in run.metrics if name in registry.METRICS)


@register.simple_tag
def effect(found: dict[str, Any]) -> str:
    """A fitted effect in Elo with its 95 % margin."""
    if found.get("value") is None:
        return "not fitted"
    error = found.get("se")
    return f"{figure(found['value'], 1)} Elo" + (f" ± {figure(1.96 * error, 1)}" if error is not None else "")


@register.simple_tag
def setting(value: Any) -> str:
    """A setting of the method, as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{number:,} by {name}" for name, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@register.simple_tag(takes_context=True)
def ranking_url(context: template.Context, name: str, *args: Any, **more: Any) -> str:
    """The address of a page about the same ranking, with further parameters."""
    found = [*context["question"].parameters(), *((key, str(value)) for key, value in more.items())]
    return _address(reverse(name, args=[context["study"].slug, *args]), found)


@register.simple_tag(takes_context=True)
def download_url(context: template.Context, kind: str) -> str:
    """The address of the table as a file, with the columns and the order shown."""
    question = context["question"]
    sort = [("sort", question.sort)] if question.sort else []
    found = [*question.parameters(), *sort, *question.column_parameters()]
    return _address(reverse("leaderboard_download", args=[context["study"].slug, kind]), found)


@register.simple_tag(takes_context=True)
def section_url(context: template.Context, **more: str) -> str:
    """The address of the section that the page shows, drawn otherwise."""
    return ranking_url(context, "leaderboard_section", context["section"], **more)


@register.simple_tag(takes_context=True)
def section_download(context: template.Context, kind: str) -> str:
    """The address of the section's picture, or of its figures, as a file."""
    drawn = {name: context["request"].GET[name] for name in ("measure", "cost") if name in context["request"].GET}
    return ranking_url(context, "leaderboard_section_download", context["section"], kind, **drawn)


def _address(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    query = encoded(list(parameters))
    return f"{path}?{query}" if query else path


@register.simple_tag(takes_context=True)
def sortable(context: template.Context, column: Column) -> str:
    """A column's head; its link orders the table by it, best first, and the other way round when it already does."""
    first = f"-{column.key}" if column.best_first == "high" else column.key
    question = context["question"]
    current = question.sort or "-rating"
    active = current.removeprefix("-") == column.key
    turned = (column.key if current.startswith("-") else f"-{column.key}") if active else first
    direction = ("descending" if current.startswith("-") else "ascending") if active else "none"
    return format_html(
        '<th scope="col"{} aria-sort="{}"><a href="?{}">{}</a>{}</th>',
        "" if column.is_text else SafeString(' class="num"'),
        direction,
        encoded([*question.parameters(), ("sort", turned), *question.column_parameters()]),
        column.title,
        _beside(column),
    )


def _beside(column: Column) -> str:
    if column.reported:
        return SafeString("<small>self-reported</small>")
    if not column.metric:
        return ""
    mark = "↑ higher is better" if column.higher_is_better else "↓ lower is better"
    return format_html('<small title="{}">{}</small>', column.unit, mark)
