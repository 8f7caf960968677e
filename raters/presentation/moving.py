"""Videos as raters see them, encoded anew under one policy, so that nothing but what is seen tells two apart.

The policy `vp9-2`: the first video stream of the file without its sound, turned as the file says; on a canvas that all
outputs of a prompt share: the size of the largest (even, for its half-size colour), the highest frame rate among them,
up to 60 a second, and the length of the longest. A slower video repeats its frames, a shorter one holds its last.
Scaled by Lanczos, mid-grey around it where the aspect differs, 8 bits, BT.709, 4:2:0; VP9 of one constant quality with
a key frame every half second, so that any frame is near; WebM that names no program and no date. Equal frames give
equal bytes.

One frame at a time: besides FFmpeg's own buffers it holds two canvases and the encoded file.
"""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import IO, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from raters.presentation import Canvas, Shape
from raters.presentation.unpresentable import Unpresentable

GREY = 118
MOST_A_SECOND = 60
ROUNDING = 0.1  # of a frame's time: containers tell times in milliseconds, and no frame may be shown late for that
QUALITY = "18"  # constant; visually free of loss at the sizes that are shown
CONTAINERS = "mov,mp4,matroska,webm,avi"

Pixels = NDArray[np.uint8]


def canvas(shapes: Iterable[Shape], edge: int) -> Canvas:
    """The canvas of all outputs of one prompt: no output is seen with fewer pixels or frames than another."""
    shapes = list(shapes)
    largest = max(shapes, key=lambda shape: (shape.width * shape.height, shape))
    scale = min(1.0, edge / max(largest.width, largest.height))
    rate = max(1, min(MOST_A_SECOND, round(max(shape.rate for shape in shapes))))
    frames = max(1, round(max(shape.seconds for shape in shapes) * rate))
    return Canvas(_even(largest.width * scale), _even(largest.height * scale), rate, frames)


def present(file: IO[bytes], size: Canvas) -> bytes:
    """The file's video on the canvas, encoded under the policy.

    Raises: Unpresentable when its frames cannot be read.
    """
    target = io.BytesIO()
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    try:
        with av.open(file, "r", container_options=options, metadata_errors="replace") as source:
            shown = _in_time(source.decode(source.streams.video[0]), size)
            with av.open(target, "w", format="webm", container_options={"fflags": "+bitexact"}) as copy:
                _encode(copy, (_placed(frame, size) for frame in shown), size)
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise Unpresentable(f"A video that decoded when it arrived does not decode now: {error}.") from error
    return target.getvalue()


def _in_time(frames: Iterator[Any], size: Canvas) -> Iterator[Any]:
    """The frame that is seen at each tick of the canvas: the last one that began by then."""
    first: float | None = None
    tick = 0
    for frame, following in pairwise(_and_none(frames)):
        if first is None:
            first = frame.time or 0.0
        until = size.frames if following is None else ((following.time or 0.0) - first) * size.rate - ROUNDING
        while tick < min(until, size.frames):
            yield frame
            tick += 1
    if first is None:
        raise ValueError("it holds no frame")


def _and_none(frames: Iterator[Any]) -> Iterator[Any]:
    yield from frames
    yield None


def _placed(frame: Any, size: Canvas) -> Pixels:
    """(height, width, 3) levels of the frame, upright, scaled into the canvas and centred on mid-grey."""
    turns = round(frame.rotation / 90) % 4
    width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    scale = min(size.width / width, size.height / height)
    inner = max(1, min(size.width, round(width * scale))), max(1, min(size.height, round(height * scale)))
    across, down = inner[::-1] if turns % 2 else inner
    levels = frame.reformat(across, down, "rgb24", interpolation=Interpolation.LANCZOS).to_ndarray()
    upright: Pixels = np.rot90(levels, turns)
    if inner == (size.width, size.height):
        return np.ascontiguousarray(upright)
    whole = np.full((size.height, size.width, 3), GREY, np.uint8)
    left, top = (size.width - inner[0]) // 2, (size.height - inner[1]) // 2
    whole[top : top + inner[1], left : left + inner[0]] = upright
    return whole


def _encode(container: Any, frames: Iterable[Pixels], size: Canvas) -> None:
    stream = container.add_stream(
        "libvpx-vp9",
        rate=size.rate,
        options={"crf": QUALITY, "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "0", "flags": "+bitexact"},
    )
    stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
    stream.codec_context.thread_count = 1  # more would make the bytes depend on the machine
    stream.gop_size = max(1, size.rate // 2)
    stream.codec_context.colorspace = Colorspace.ITU709
    for number, levels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(levels, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = number, Fraction(1, size.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
