"""What is said of videos."""

from typing import Any

from django import template

from evalhub.studies.models import Media

register = template.Library()

NAMES = {
    "h264": "H.264",
    "hevc": "H.265",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4 Part 2",
    "mjpeg": "Motion JPEG",
    "ffv1": "FFV1",
}


@register.filter
def codec(name: str) -> str:
    """A codec as people call it."""
    return NAMES.get(name, name)


@register.simple_tag
def video_facts(media: Media) -> str:
    """One video: codec, size, frame rate, length."""
    return (
        f"{codec(media.codec)} · {media.width} × {media.height} · {media.fps or 0:.4g} fps · "
        f"{media.duration or 0:.2f} s · {media.frames:,} frames"
    )


@register.simple_tag
def videos_facts(found: dict[str, Any]) -> str:
    """A submission's videos, as its page counts them: what they have in common, and from where to where."""
    sizes = _from_to(*(f"{width} × {height}" for width, height in (found["smallest"], found["largest"])))
    rates = _from_to(*(f"{rate:.4g}" for rate in found["rates"]))
    lengths = _from_to(*(f"{seconds:.2f}" for seconds in found["seconds"]))
    names = ", ".join(codec(name) for name in found["codecs"])
    return f"{names} · {sizes} · {rates} fps · {lengths} s · {found['frames']:,} frames in all"


def _from_to(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"
