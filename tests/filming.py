"""Small real videos, encoded here by the codecs that teams send."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

Draw = Callable[[int], np.ndarray]
CODECS = {"mp4": "libx264", "mov": "libx264", "webm": "libvpx-vp9", "mkv": "ffv1", "avi": "mpeg4"}


def moving_square(number: int, *, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A bright square that goes to the right by two pixels a frame: a frame tells its own number."""
    width, height = size
    frame = np.full((height, width, 3), 40, np.uint8)
    left = (2 * number) % (width - 16)
    frame[height // 2 - 8 : height // 2 + 8, left : left + 16] = (230, 180, 60)
    return frame


def film(
    path: Path, *, frames: int = 20, rate: int = 10, draw: Draw = moving_square, codec: str = "", **options: str
) -> Path:
    """Encode a video in the container that the file's name says."""
    with av.open(str(path), "w") as container:
        name = codec or CODECS[path.suffix[1:]]
        stream = cast(VideoStream, container.add_stream(name, rate=Fraction(rate), options=options))
        height, width, _ = draw(0).shape
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(draw(number), format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
