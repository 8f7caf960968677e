"""How pages about raters write numbers."""

from django import template

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """0.713 as “71 %”; a dash for nothing."""
    return "–" if share is None else f"{100 * share:.0f} %"


@register.filter
def signed(elo: float | None) -> str:
    """−12.4 as “−12”, 12.4 as “+12”, nothing in particular as “0”."""
    if elo is None:
        return "–"
    rounded = round(elo)
    return "0" if not rounded else f"{'+' if rounded > 0 else '−'}{abs(rounded):,}"
