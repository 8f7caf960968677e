"""Videos, by FFmpeg through PyAV. Every frame is decoded once, so that a file that is cut off is found at the door."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evalhub.studies.decoding.unfit import Unfit

CONTAINERS = "mov,mp4,matroska,webm,avi"
CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "ffv1"})
ROUNDING = 0.01  # of the length that a file promises


def read_video(path: str, form: str, side: int, frames: int) -> dict[str, object]:
    """Decode every frame of the first video stream; sound and everything else in the file is passed over.

    Returns: its kind, format, codec, size as shown (after the turn the file asks for), frames, seconds and frame rate.
    Raises: Unfit when it is larger than `side` on a side, has more than `frames`, or does not decode to its end.
    """
    with opened(path, form) as container:
        return {"kind": "video", "format": form} | _facts(container, side, frames)


@contextmanager
def opened(path: str, form: str) -> Iterator[Any]:
    """The video as PyAV's container. Raises: Unfit for whatever goes wrong while it is open."""
    import av

    # FFmpeg is given the open file only: it opens nothing itself, whatever a playlist or a reference inside says.
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    try:
        with open(path, "rb") as file, av.open(file, container_options=options, metadata_errors="replace") as container:
            if not container.streams.video:
                raise Unfit("has no video in it")
            yield container
    except MemoryError:
        raise Unfit("takes more memory to decode than the site allows") from None
    except (Unfit, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - decoders meet hostile bytes with errors of every kind
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unfit(f"does not decode as {form.upper()} ({reason[:200]})") from None


def _facts(container: Any, side: int, frames: int) -> dict[str, object]:
    stream = container.streams.video[0]
    context = stream.codec_context
    codec = context.codec.canonical_name
    if codec not in CODECS:
        raise Unfit(f"is encoded as {codec}; {', '.join(sorted(CODECS))} are taken")
    if max(context.width, context.height) > side:
        raise Unfit(f"is {context.width}×{context.height} pixels; at most {side:,} on each side are taken in a video")
    context.thread_count = 1
    # A damaged frame is an error here, where FFmpeg would by itself show the one before again.
    context.options = {"err_detect": "explode"}
    shapes: set[tuple[int, int]] = set()
    times: list[float] = []
    last = 0.0
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise Unfit(f"has a damaged frame, number {len(times) + 1:,}")
        turned = round(frame.rotation / 90) % 2
        shapes.add((frame.height, frame.width) if turned else (frame.width, frame.height))
        times.append(frame.time if frame.time is not None else len(times) / float(stream.average_rate or 25))
        last = float((frame.duration or 0) * frame.time_base) if frame.time_base else 0.0
        if len(times) > frames:
            raise Unfit(f"has more than {frames:,} frames; send a shorter video")
        if len(shapes) > 1:
            raise Unfit("changes its size while it plays; send a video of one size")
    if not times:
        raise Unfit("has no frame that can be decoded")
    timing = _timing(times, last, stream.average_rate)
    promised = _promised(container, stream)
    if promised - timing["duration"] > max(1.5 / timing["fps"], ROUNDING * promised):
        raise Unfit(f"is cut off: it promises {promised:.2f} seconds and holds {timing['duration']:.2f}")
    width, height = shapes.pop()
    return {**timing, "width": width, "height": height, "codec": codec}


def _promised(container: Any, stream: Any) -> float:
    """The seconds that the file says its pictures last; 0 where it does not, or speaks of its sound too."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if not container.duration or len(container.streams) > 1:
        return 0.0
    # Some containers count from zero, whenever their first frame is shown.
    return float(container.duration - max(0, container.start_time or 0)) / 1e6


def _timing(times: list[float], last: float, rate: Any) -> dict[str, float]:
    """Seconds from the first frame to the end of the last, and how many frames there are a second."""
    span = max(times) - min(times)
    step = last or (span / (len(times) - 1) if len(times) > 1 else float(1 / rate) if rate else 0.04)
    duration = span + step
    return {"frames": len(times), "duration": round(duration, 6), "fps": round(len(times) / duration, 6)}
