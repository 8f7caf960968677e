"""One frame of a video as a small picture, for pages."""

import base64
import io
from typing import Any

from evalhub.studies.decoding.unfit import Unfit
from evalhub.studies.decoding.videos import opened


def draw_poster(path: str, form: str, side: int, edge: int) -> dict[str, object]:
    """A frame from about the middle of the video: the nearest before it that decodes without any other.

    Args: side: the most pixels on a side that are decoded; edge: the most pixels on the poster's longer side.
    Returns: its kind, and `poster`, a WebP file in base64.
    Raises: Unfit when no frame can be had.
    """
    with opened(path, form) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if max(stream.codec_context.width, stream.codec_context.height) > side:
            raise Unfit(f"has more than {side:,} pixels on a side")
        if container.duration:
            container.seek(container.duration // 2)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise Unfit("has no frame that can be decoded")
        return {"kind": "video", "poster": base64.b64encode(_small(frame, edge)).decode()}


def _small(frame: Any, edge: int) -> bytes:
    scale = min(1.0, edge / max(frame.width, frame.height))
    across, down = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = frame.to_image(width=across, height=down, interpolation="LANCZOS").rotate(frame.rotation, expand=True)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=82, method=4)
    return buffer.getvalue()
