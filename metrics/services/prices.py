"""What an hour of a device costs, as the operator says."""

from django.conf import settings


def price_of(device: str) -> float | None:
    """US dollars for an hour of the device of this name; None where the operator says nothing of it."""
    prices: dict[str, float] = settings.DEVICE_PRICE_PER_HOUR
    return prices.get(device.lower(), prices.get(""))
