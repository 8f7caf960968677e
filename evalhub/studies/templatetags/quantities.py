"""How a checkpoint's own cost is written."""

from django import template

register = template.Library()


@register.simple_tag
def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s"


@register.simple_tag
def dollars(value: float) -> str:
    """A price per output in dollars, small ones per thousand."""
    return f"${value:.3g}" if value >= 0.01 or not value else f"${value * 1000:.3g} / 1,000"
