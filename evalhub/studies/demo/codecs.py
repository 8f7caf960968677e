"""The video study's contestants: five real codecs, each given the same number of bits for the same frames.

Each encodes at a constant quality, which clips.csv gives for every clip, in one thread, so that the bytes do not depend
on the machine.
"""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter
from typing import cast

import av
from av.video.stream import VideoStream

from evalhub.studies.demo.clips import Clip, frames


@dataclass(frozen=True)
class Codec:
    """One contestant.

    Attributes:
        encoder: FFmpeg's name for it; container: what its files are, as their names end.
        options: FFmpeg's, for a quality.
    """

    title: str
    description: str
    encoder: str
    container: str
    options: Callable[[float], dict[str, str]]


def _vp8(quality: float) -> dict[str, str]:
    # Its constant quality needs a bitrate that it never reaches; one quantizer for all frames is that quality.
    level = str(round(quality))
    return {"deadline": "good", "cpu-used": "4", "qmin": level, "qmax": level, "b": "4000000", "g": "300"}


def _h264(quality: float) -> dict[str, str]:
    # Without its macroblock trees: with them, one encoding in fifty or so comes out in other bytes.
    return {"preset": "medium", "crf": str(quality), "mbtree": "0"}


def _vp9(quality: float) -> dict[str, str]:
    return {"deadline": "good", "cpu-used": "4", "crf": str(round(quality)), "b": "0", "row-mt": "0"}


def _h265(quality: float) -> dict[str, str]:
    return {"preset": "fast", "crf": str(quality), "x265-params": "log-level=none:pools=1:frame-threads=1"}


def _av1(quality: float) -> dict[str, str]:
    return {"preset": "8", "crf": str(round(quality)), "svtav1-params": "lp=1"}


CODECS: dict[str, Codec] = {
    "vp8": Codec("VP8", "2010. libvpx, one quantizer for all frames.", "libvpx", "webm", _vp8),
    "h264": Codec("H.264", "2003. x264, preset medium, constant rate factor.", "libx264", "mp4", _h264),
    "vp9": Codec("VP9", "2013. libvpx, good quality at speed 4, constant quality.", "libvpx-vp9", "webm", _vp9),
    "h265": Codec("H.265", "2013. x265, preset fast, constant rate factor.", "libx265", "mp4", _h265),
    "av1": Codec("AV1", "2018. SVT-AV1, preset 8, constant rate factor.", "libsvtav1", "mkv", _av1),
}
ORIGINAL = Codec(
    "Original", "H.264 without loss.", "libx264", "mp4", lambda quality: {"preset": "ultrafast", "qp": str(quality)}
)
FORMATS = {"mkv": "matroska"}  # where FFmpeg's name for a container is not what its files' names end in


def output(codec: Codec, clip: Clip, quality: float) -> tuple[bytes, float]:
    """The clip as this codec writes it, and the seconds that encoding took.

    Raises: MaterialUnavailable as `frames` does.
    """
    images = frames(clip)
    start = perf_counter()
    content = encode(codec, images, clip.rate, quality)
    return content, perf_counter() - start


def original(clip: Clip) -> bytes:
    """The clip's own frames, kept without loss. Raises MaterialUnavailable as `frames` does."""
    return encode(ORIGINAL, frames(clip), clip.rate, 0)


def encode(codec: Codec, images: Sequence[av.VideoFrame], rate: Fraction, quality: float) -> bytes:
    """A file with these frames (8 bits, 4:2:0, all of one size)."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only; the AV1 encoder would introduce itself on every run
    target = io.BytesIO()
    form = FORMATS.get(codec.container, codec.container)
    # Exact: neither a date nor a random number gets into the file.
    with av.open(target, "w", format=form, container_options={"fflags": "+bitexact"}) as container:
        stream = cast(VideoStream, container.add_stream(codec.encoder, rate=rate, options=codec.options(quality)))
        stream.codec_context.thread_count = 1
        stream.width, stream.height, stream.pix_fmt = images[0].width, images[0].height, "yuv420p"
        for number, image in enumerate(images):
            image.pts, image.time_base, image.pict_type = number, 1 / rate, 0
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return target.getvalue()
