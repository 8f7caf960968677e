"""Videos at the door: every frame is decoded, nothing outside the file is opened, and what is cut off is found."""

import os
from pathlib import Path

import pytest
from pytest_django import Settings

from evalhub.studies.inspection import Undecodable, inspect
from tests.filming import film
from tests.submitting import picture


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "h264"), ("mov", "h264"), ("webm", "vp9"), ("mkv", "ffv1"), ("avi", "mpeg4")]
)
def test_facts_come_from_the_frames(tmp_path: Path, form: str, codec: str) -> None:
    facts = inspect(film(tmp_path / f"x.{form}"), ["video"])
    assert (facts.kind, facts.format, facts.codec) == ("video", form, codec)
    assert (facts.width, facts.height, facts.frames) == (96, 64, 20)
    assert facts.duration == pytest.approx(2.0)
    assert facts.fps == pytest.approx(10.0)


@pytest.mark.parametrize("form", ["mp4", "mov", "webm", "mkv", "avi"])
@pytest.mark.parametrize("rest", [0.1, 0.5, 0.85])
def test_cut_off_videos(tmp_path: Path, form: str, rest: float) -> None:
    path = film(tmp_path / f"x.{form}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * rest)])
    with pytest.raises(Undecodable):
        inspect(path, ["video"])


def test_a_damaged_video(tmp_path: Path) -> None:
    path = film(tmp_path / "x.mkv")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = os.urandom(300)
    path.write_bytes(content)
    with pytest.raises(Undecodable):
        inspect(path, ["video"])


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "is empty"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "is not a video that its first bytes would name"),
        (b"GIF89a....", "is a GIF: MP4, QuickTime, WebM, Matroska and AVI are taken"),
        (picture(1), "is a PNG picture, and this study compares videos"),
        (b"\x00\x00\x00\x20ftypisom" + b"\0" * 200, "does not decode as MP4"),
    ],
)
def test_what_is_no_video_is_refused_with_the_reason(tmp_path: Path, content: bytes, phrase: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(Undecodable, match=f"^{phrase}"):
        inspect(path, ["video"])


def test_limits(tmp_path: Path, settings: Settings) -> None:
    path = film(tmp_path / "x.mp4")
    settings.MAX_VIDEO_FRAMES = 19
    with pytest.raises(Undecodable, match="has more than 19 frames"):
        inspect(path, ["video"])
    settings.MAX_VIDEO_SIDE = 95
    with pytest.raises(Undecodable, match="is 96×64 pixels; at most 95 on each side are taken in a video"):
        inspect(path, ["video"])


def test_a_study_of_videos_takes_pictures_to_begin_with(tmp_path: Path) -> None:
    """Sources and references go through the same door with both kinds open."""
    path = tmp_path / "x"
    path.write_bytes(picture(1))
    assert inspect(path, ["image", "video"]).kind == "image"
    assert inspect(film(tmp_path / "x.webm"), ["image", "video"]).kind == "video"


def test_a_codec_that_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(Undecodable, match="is encoded as mpeg2video"):
        inspect(film(tmp_path / "x.mkv", codec="mpeg2video", rate=25), ["video"])
