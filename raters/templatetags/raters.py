"""How pages about raters write numbers."""

from django import template

register = template.Library()

BOUNDLESS = 10_000  # Elo; a bound out there says that nothing is known yet


@register.filter
def percent(share: float | None) -> str:
    """0.713 as “71 %”; a dash for nothing."""
    return "–" if share is None else f"{100 * share:.0f} %"


@register.filter
def hundredths(number: float | None) -> str:
    """−0.052 as “−0.05”; a dash for nothing."""
    return "–" if number is None else f"{number:.2f}".replace("-", "−")


@register.filter
def signed(elo: float | None) -> str:
    """−12.4 as “−12”, 12.4 as “+12”, less than a half as “0”; what is beyond all measure as infinite."""
    if elo is None:
        return "–"
    if abs(elo) >= BOUNDLESS:
        return "+∞" if elo > 0 else "−∞"
    rounded = round(elo)
    return "0" if not rounded else f"{'+' if rounded > 0 else '−'}{abs(rounded):,}"
