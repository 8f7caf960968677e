"""How a run's numbers are written."""

import json
from decimal import Decimal
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
def protocol_name(protocol: dict[str, Any]) -> str:
    """What was chosen of a run's or a score's protocol: `clean`, `tf1 in bfloat16`."""
    dtype = protocol.get("dtype", "float32")
    return protocol.get("name", "") + ("" if dtype == "float32" else f" in {dtype}")


@register.filter
def percent(share: float) -> str:
    return f"{share:.0%}"


@register.filter
def signed(value: float) -> str:
    """A difference: with its sign, and three digits however small it is."""
    return f"{Decimal(f'{value:.3g}'):+f}".replace("-", "−")


@register.filter
def drift(facts: dict[str, Any]) -> str:
    """How far reduced precision moved a value, and how that is known."""
    return f"{signed(facts['shift'])} against float32, on the first {facts['samples']:,} samples"


@register.filter
def dollars(amount: float) -> str:
    return "under $0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"


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
