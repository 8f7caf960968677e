"""How a run's numbers are written."""

import json
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from metrics.engine.registry import METRICS

register = template.Library()


@register.filter
def figure(value: float) -> str:
    """Four significant digits, with a true minus sign."""
    size = abs(value)
    digits = next((digits for least, digits in ((1000, 0), (100, 1), (10, 2), (1, 3)) if size >= least), 4)
    return f"{value:,.{digits}f}".replace("-", "−")


@register.filter
def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 6000:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@register.filter
def metric_title(name: str) -> str:
    return METRICS[name].title if name in METRICS else name


@register.filter
def sentence(text: str) -> SafeString:
    """A sentence whose commands stand between backticks."""
    pieces = text.split("`")
    return format_html_join("", "{}", ((_code(piece) if odd % 2 else piece,) for odd, piece in enumerate(pieces)))


def _code(command: str) -> SafeString:
    return format_html("<code>{}</code>", command)


@register.filter
def pretty(facts: Any) -> str:
    """JSON for people to read."""
    return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
