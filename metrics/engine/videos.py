"""The one decode of a video: a file in, a few of its frames out, under a policy that is part of every fingerprint.

Policy, version 1. MP4, QuickTime, WebM, Matroska and AVI with H.264, H.265, VP8, VP9, AV1, MPEG-4, Motion JPEG or FFV1,
recognised by their bytes; no other format is tried, so that no playlist is followed and nothing outside the file is
opened. Of the first video stream, as many frames as the protocol says are taken: the span from the first frame's
presentation time to the end of the last is cut into that many equal parts, and of each part the frame that is shown at
its centre is taken (in a video of fewer frames, some of them more than once). Levels become RGB by FFmpeg's conversion
with the file's own colour matrix, BT.601 where it names none. A turn by quarters that the file asks for is applied; the
shape of its pixels and its transparency are ignored. At most 36,000 frames, 2^26 pixels and a side of 16,384. A file is
refused as damaged where FFmpeg reports it, where frames that its header counts are missing, or where it ends before
nine tenths of the time that it claims.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from metrics.engine.errors import BadInput, UnreadableImage
from metrics.engine.images import MAX_SIDE

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FRAMES = 8
"""Frames sampled from a video under the named protocols."""
RULE = "shown at the centres of equal spans of presentation time"
POLICY_VERSION = 1
MAX_FRAMES = 36_000
MAX_PIXELS = 2**26
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "ffv1"})

_CONTAINERS = "mov,mp4,matroska,webm,avi"
_STRICT = {"err_detect": "explode"}
_KINDS = "MP4, QuickTime, WebM, Matroska, AVI"


def video_policy() -> dict[str, Any]:
    """What changes a decoded frame, for the fingerprint.

    Raises: BadInput where PyAV, which decodes videos, is not installed.
    """
    try:
        import av  # only where videos are scored
    except ImportError:
        raise BadInput("Videos are decoded by the package av, which is not installed here; install it.") from None
    return {"library": f"pyav-{av.__version__.split('.')[0]}", "policy": POLICY_VERSION}


def decode_video(file: BinaryIO, *, name: str, frames: int) -> NDArray[np.uint8]:
    """`frames` frames of a video, in the order of time.

    Args: file: open for reading, at its start, seekable. name: what to call it in an error.
    Returns: (frames, height, width, 3) uint8, sRGB assumed.
    Raises: UnreadableImage with one sentence naming the file.
    """
    with _opened(file, name) as (container, stream):
        centres = _centres(_shown(container, stream, name), frames)
    file.seek(0)
    with _opened(file, name) as (container, stream):
        taken = list(_taken(container.decode(stream), centres, 2 * frames))
    if len(taken) < frames:
        raise UnreadableImage(f"{name} has no frame that can be decoded; send the file again.")
    if len({each.shape for each in taken}) > 1:
        raise UnreadableImage(f"{name} changes its size while it plays; send a video of one size.")
    return np.stack(taken)


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """The file's container and first video stream, what they may be checked, and all damage told in one sentence."""
    import av  # only where videos are scored

    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none", **_STRICT}
    try:
        container = av.open(file, "r", container_options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError):
        raise UnreadableImage(f"{name} is not a video in a known container ({_KINDS}); send one of those.") from None
    with container:
        if not container.streams.video:
            raise UnreadableImage(f"{name} has no video in it; send a file that does.")
        stream = container.streams.video[0]
        _check(stream, name)
        try:
            yield container, stream
        except (av.FFmpegError, ValueError, EOFError, MemoryError) as fault:
            reason = getattr(fault, "strerror", None) or str(fault)
            raise UnreadableImage(f"{name} is damaged or incomplete ({reason}); send the file again.") from None


def _check(stream: "VideoStream", name: str) -> None:
    codec = stream.codec_context.codec.canonical_name
    if codec not in CODECS:
        raise UnreadableImage(f"{name} is encoded as {codec}; send one of {', '.join(sorted(CODECS))}.")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"{name} is {width:,} × {height:,} pixels; at most {MAX_PIXELS:,} pixels and {MAX_SIDE:,} on a side "
            "are accepted."
        )
    # The pass decodes several files at once already.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = _STRICT


def _shown(container: "InputContainer", stream: "VideoStream", name: str) -> list[tuple[int, int]]:
    """When each frame is shown and for how long, in the stream's time, by reading the packets without decoding them."""
    shown = []
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise _cut_off(name)
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.size and time is not None:
            shown.append((time, packet.duration or 0))
        if len(shown) > MAX_FRAMES:
            raise UnreadableImage(f"{name} has more than {MAX_FRAMES:,} frames; send a shorter video.")
    if not shown:
        raise UnreadableImage(f"{name} has no frame in it; send the file again.")
    shown.sort()
    if len(shown) > 1 and not shown[-1][1]:
        # A last frame of unknown length is shown as long as the one before it.
        shown[-1] = (shown[-1][0], shown[-1][0] - shown[-2][0])
    lasting = shown[-1][0] + shown[-1][1] - shown[0][0]
    if len(shown) < stream.frames or (lasting and _claimed(container, stream) * 9 / 10 > lasting):
        raise _cut_off(name)
    return shown


def _claimed(container: "InputContainer", stream: "VideoStream") -> float:
    """How long the file claims to last, in the stream's time; 0 where it does not say or sound may last longer."""
    if container.duration is None or stream.time_base is None or len(container.streams) > 1:
        return 0
    return container.duration / 1_000_000 / float(stream.time_base)


def _cut_off(name: str) -> UnreadableImage:
    return UnreadableImage(f"{name} is damaged or incomplete (frames are missing); send the file again.")


def _centres(shown: Sequence[tuple[int, int]], frames: int) -> list[int]:
    """The times of the frames to take, in units of 1 / (2 · frames) of the stream's: there they are whole numbers."""
    first, (last, duration) = shown[0][0], shown[-1]
    span = last + duration - first
    return [2 * frames * first + span * (2 * index + 1) for index in range(frames)]


def _taken(decoded: Iterator["VideoFrame"], centres: Sequence[int], units: int) -> Iterator[NDArray[np.uint8]]:
    """For each centre the pixels of the frame shown then: the last that began no later."""
    shown: VideoFrame | None = None
    waiting = list(centres)
    for frame in decoded:
        if frame.is_corrupt:
            raise ValueError("a frame is damaged")
        begins = frame.pts if frame.pts is not None else frame.dts
        if begins is None:
            continue
        while shown is not None and waiting and begins * units > waiting[0]:
            waiting.pop(0)
            yield _pixels(shown)
        if not waiting:
            return
        shown = frame
    if shown is not None:
        yield from [_pixels(shown)] * len(waiting)


def _pixels(frame: "VideoFrame") -> NDArray[np.uint8]:
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
