"""Nothing of a video file but its frames survives into what raters see."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from evalhub.studies.models import Checkpoint, Modality, Sample, Submission, SubmissionState
from evalhub.studies.services import store_media
from raters import services
from raters.access import given_copies
from raters.presentation import Canvas, Shape, Unpresentable, canvas
from raters.presentation.moving import present
from tests.filming import film, moving_square
from tests.raters.conftest import cast, make_desk, noise, offer, png

SIZE = Canvas(96, 64, 20, 40)


def shown(path: Path, size: Canvas = SIZE) -> bytes:
    with path.open("rb") as file:
        return present(file, size)


def frames(content: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(content), "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def place(frame: np.ndarray) -> int:
    """Where the bright square begins, in pixels from the left; of a source, twice the frame's number."""
    return int(np.flatnonzero(frame[frame.shape[0] // 2, :, 0] > 128)[0])


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    """Another container, other key frames, another program's name and a title: all the same to raters."""
    one = film(tmp_path / "alpha.mkv", codec="ffv1", rate=20, frames=40)
    other = film(tmp_path / "beta.avi", codec="ffv1", rate=20, frames=40, g="1")
    assert one.read_bytes() != other.read_bytes()
    content = shown(one)
    assert content == shown(other)
    assert content == shown(one)


def test_a_copy_says_nothing_of_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "made-by-alpha.mp4"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update({"title": "made by Alpha", "comment": "seed 7"})
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moving_square(number), format="rgb24")))
        container.mux(stream.encode())
    assert b"Alpha" in path.read_bytes()
    content = shown(path)
    for word in (b"Alpha", b"seed", b"x264", b"mp4", b"Lavc", b"libvpx"):
        assert word.lower() not in content.lower(), word
    with av.open(io.BytesIO(content), "r") as container:
        assert len(container.streams) == 1
        (shown_stream,) = container.streams.video
        assert shown_stream.codec_context.codec.canonical_name == "vp9"
        assert shown_stream.codec_context.pix_fmt == "yuv420p"


def test_every_output_of_a_prompt_has_the_same_length_rate_and_size() -> None:
    shapes = [Shape(97, 63, 10.0, 1.5), Shape(64, 48, 23.976, 2.0), Shape(80, 60, 12.0, 0.5)]
    assert canvas("video", shapes, 4096) == Canvas(96, 64, 24, 48)
    assert canvas("video", shapes, 48) == Canvas(48, 32, 24, 48)
    assert canvas("video", [Shape(8, 8, 240.0, 1.0)], 4096).rate == 60


def test_a_slower_video_repeats_frames_and_a_shorter_one_holds_its_last(tmp_path: Path) -> None:
    seen = [place(frame) for frame in frames(shown(film(tmp_path / "x.mkv", rate=10, frames=15)))]
    assert seen[:6] == [0, 0, 2, 2, 4, 4]
    assert seen[28:] == [28] * 12
    assert len(seen) == 40


def test_a_faster_video_drops_frames(tmp_path: Path) -> None:
    seen = [
        place(frame) for frame in frames(shown(film(tmp_path / "x.mkv", rate=40, frames=30), SIZE._replace(frames=15)))
    ]
    assert seen == list(range(0, 60, 4))


def test_another_shape_lies_on_grey(tmp_path: Path) -> None:
    path = film(tmp_path / "x.mkv", rate=20, frames=4, draw=lambda n: moving_square(n, size=(64, 64)))
    frame = frames(shown(path, Canvas(128, 64, 20, 4)))[0].astype(int)
    assert np.abs(frame[:, :28] - 118).max() <= 3
    assert np.abs(frame[:, 100:] - 118).max() <= 3
    assert np.abs(frame[4:20, 40:90] - 40).max() <= 3


def test_colours_stay_themselves(tmp_path: Path) -> None:
    """The same levels come back whichever colour matrix the file was written with, as far as 4:2:0 allows."""
    frame = frames(shown(film(tmp_path / "x.mkv", rate=20, frames=4), SIZE._replace(frames=4)))[0].astype(int)
    assert np.abs(frame[28:36, 3:13].mean(axis=(0, 1)) - (230, 180, 60)).max() <= 6


def test_a_file_that_does_not_decode_any_more(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    with pytest.raises(Unpresentable, match="does not decode now"):
        shown(path)


def test_a_reference_that_moves_is_for_machines(db: None, tmp_path: Path) -> None:
    """It lies upon no side, and its prompt is offered without it; a picture that a video was asked for by is shown."""
    desk = make_desk(prompts=2, modality=Modality.VIDEO)
    truth = store_media(study=desk.study, path=film(tmp_path / "truth.mp4"))
    asked = tmp_path / "asked.png"
    asked.write_bytes(png(noise(1, 1)))
    desk.prompts[0].reference, desk.prompts[1].source = truth, store_media(study=desk.study, path=asked)
    for number, prompt in enumerate(desk.prompts):
        prompt.save()
        for name in ("Alpha", "Beta"):
            checkpoint, _ = Checkpoint.objects.get_or_create(study=desk.study, name=name)
            path = film(tmp_path / f"{name}{number}.webm", frames=5 + len(name), rate=5)
            media = store_media(study=desk.study, path=path)
            Sample.objects.create(checkpoint=checkpoint, prompt=prompt, media=media)
    for checkpoint in Checkpoint.objects.all():
        Submission.objects.create(
            checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=desk.study.created_at
        )
    services.prepare_presentation(study=desk.study)
    assert services.studies_to_prepare() == []
    enrolment = desk.rater("ria")
    given = {}
    for _ in desk.prompts:
        comparison = offer(desk, enrolment)
        given[comparison.prompt.key] = set(given_copies(comparison))
        cast(comparison)
    assert given == {"prompt-0": set(), "prompt-1": {"source"}}
