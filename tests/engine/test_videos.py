"""Videos: the frames that are taken of a real file, what is refused, and metrics over frames against plain loops."""

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, BinaryIO

import av
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from metrics.engine.blocks import Block
from metrics.engine.checkpoints import read_safetensors
from metrics.engine.errors import BadInput, UnreadableImage
from metrics.engine.extractors import pinned
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol, named
from metrics.engine.registry import METRICS
from metrics.engine.scores import merge_scores
from metrics.engine.subjects import Picture, Subject
from metrics.engine.videos import FRAMES, decode_video
from metrics.engine.weights import Weights
from tests.engine.conftest import PHOTOGRAPHS, Pixels, RandomClip, bits, encoded, subject
from tests.engine.test_lpips import their_input, their_lpips

SCORED = ["clip_score", "lpips", "frame_consistency", "psnr", "clip_image_similarity"]
CENTRES = [1, 3, 6, 8, 11, 13, 16, 18]
"""Of 20 frames of one length, those shown at the centres of eight equal spans."""


def moving_crop(photograph: int, frames: int = 20) -> list[Pixels]:
    """A window of 96 × 128 pixels that wanders over a photograph."""
    whole = np.array(Image.open(PHOTOGRAPHS[photograph]).convert("RGB"))
    return [np.ascontiguousarray(whole[2 * at :, 6 * at :][:96, :128]) for at in range(frames)]


def filmed(
    pictures: Sequence[Pixels], container: str = "mp4", codec: str = "libx264", quality: int = 5, **options: Any
) -> bytes:
    """The pictures as a video of ten frames a second. Args: times: presentation times in milliseconds instead."""
    times = options.pop("times", None)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=1000 if times else 10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = options.pop("pix_fmt", "yuv420p")
        stream.options = {"crf": str(quality)} if codec == "libx264" else {}
        stream.bit_rate = 4_000_000
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def taken(video: bytes, pictures: Sequence[Pixels]) -> list[int]:
    """Which of `pictures` the frames taken of a video are."""
    frames = decode_video(io.BytesIO(video), name="clip", frames=FRAMES)
    stack = np.array(pictures, dtype=np.int16)
    return [int(np.abs(stack - frame).mean(axis=(1, 2, 3)).argmin()) for frame in frames]


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"), ("matroska", "ffv1"), ("mov", "mpeg4")],
)
def test_the_frames_at_the_centres_of_eight_spans_are_taken(container: str, codec: str) -> None:
    pictures = moving_crop(1)
    assert taken(filmed(pictures, container, codec), pictures) == CENTRES


def test_frames_are_taken_by_when_they_are_shown() -> None:
    pictures = moving_crop(3)
    times = [40 * index if index < 16 else 640 + 1000 * (index - 16) for index in range(20)]
    video = filmed(pictures, times=times)
    with av.open(io.BytesIO(video), "r") as container:
        shown = sorted((each.pts, each.duration or 0) for each in container.demux(video=0) if each.pts is not None)
    start, end = shown[0][0], sum(shown[-1])
    centres = [start + (end - start) * (index + 0.5) / FRAMES for index in range(FRAMES)]
    expected = [max(index for index, (time, _) in enumerate(shown) if time <= centre) for centre in centres]
    assert taken(video, pictures) == expected
    assert expected[1:] != CENTRES[1:], "a rule by number would have taken others"


def test_a_short_video_gives_some_frames_more_than_once() -> None:
    pictures = moving_crop(4, frames=3)
    assert taken(filmed(pictures), pictures) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert taken(filmed(pictures[:1]), pictures) == [0] * 8


def test_a_turn_that_the_file_asks_for_is_applied() -> None:
    pictures = moving_crop(1)
    upright = filmed(pictures, "mov", "mpeg4")
    one, none = b"\0\1\0\0", b"\0\0\0\0"
    identity, quarter = one + none * 3 + one, none + one + none + b"\xff\xff\0\0" + none
    header = upright.index(b"tkhd")
    at = upright.index(identity, header)
    turned = upright[:at] + quarter + upright[at + len(identity) :]
    a, b = (decode_video(io.BytesIO(each), name="clip", frames=FRAMES) for each in (upright, turned))
    assert b.shape == (FRAMES, 128, 96, 3)
    assert np.array_equal(b, np.rot90(a, -1, axes=(1, 2)))


def sentence(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as refusal:
        decode_video(io.BytesIO(data), name="clip.mp4", frames=FRAMES)
    return str(refusal.value)


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/other.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"<html><body>Not found</body></html>",
        b"",
    ],
    ids=["a playlist", "a list of files", "a page", "nothing"],
)
def test_what_is_no_video_is_refused_and_nothing_else_is_opened(data: bytes) -> None:
    expected = "clip.mp4 is not a video in a known container (MP4, QuickTime, WebM, Matroska, AVI); send one of those."
    assert sentence(data) == expected
    assert sentence(encoded(moving_crop(1, 1)[0])) == expected


def test_damaged_and_foreign_videos_are_told_by_name() -> None:
    pictures = moving_crop(1)
    assert sentence(filmed(pictures, "avi", "huffyuv", pix_fmt="yuv422p")).startswith(
        "clip.mp4 is encoded as huffyuv; send one of av1, "
    )
    for container, codec in (("matroska", "ffv1"), ("webm", "libvpx-vp9"), ("avi", "mpeg4")):
        whole = filmed(pictures, container, codec)
        cut_off = sentence(whole[: len(whole) * 2 // 3])
        assert cut_off == "clip.mp4 is damaged or incomplete (frames are missing); send the file again."
    whole = filmed(pictures)
    third = len(whole) // 3
    torn = whole[:third] + bytes(third) + whole[2 * third :]
    assert sentence(torn).startswith("clip.mp4 is damaged or incomplete (Invalid data found")
    silent = io.BytesIO()
    with av.open(silent, "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert sentence(silent.getvalue()) == "clip.mp4 has no video in it; send a file that does."


@pytest.fixture(scope="module")
def videos() -> list[Subject]:
    """Four clips of photographs, coarsely compressed, with the finely compressed ones as references."""
    clips = [moving_crop(index) for index in range(4)]
    return [
        subject(filmed(clip, quality=40), filmed(clip), f"A window wanders, number {index}", f"{index}.mp4")
        for index, clip in enumerate(clips)
    ]


@pytest.fixture(scope="module")
def both_weights(weights: Weights, clip_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """LPIPS and the random CLIP in one folder."""
    folder = Weights(tmp_path_factory.mktemp("both"))
    for path in (weights.require("lpips-alexnet"), clip_weights.require("clip-vit-b-32")):
        (folder.folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def moving(both_weights: Weights) -> Protocol:
    return pinned(named("clean", "video"), both_weights)


@pytest.fixture(scope="module")
def opened() -> Counter[str]:
    return Counter()


@pytest.fixture(scope="module")
def whole(videos: Sequence[Subject], both_weights: Weights, moving: Protocol, opened: Counter[str]) -> Block:
    """Every metric of the videos from one pass that counts the files it opens."""

    def open_it(picture: Picture) -> BinaryIO:
        opened[picture.key] += 1
        return picture.open()

    counted = [
        replace(
            each,
            open=partial(open_it, Picture(each.key, each.open)),
            reference=replace(each.reference, open=partial(open_it, each.reference)) if each.reference else None,
        )
        for each in videos
    ]
    return compute_block(counted, metrics=SCORED, protocol=moving, weights=both_weights)


def test_each_video_is_decoded_once_for_all_metrics(whole: Block, opened: Counter[str]) -> None:
    assert len(opened) == 8
    assert set(opened.values()) == {1}
    assert whole.efficiency.decoded == 8
    assert whole.columns["lpips_alex"].shape == (4, FRAMES)
    assert whole.columns["clip_image"].shape == (4, FRAMES, 512)
    assert whole.columns["clip_text"].shape == (4, 513)


def frames_of(video: bytes) -> list[Pixels]:
    """The frames that count, by a plain decode of them all."""
    with av.open(io.BytesIO(video), "r") as container:
        every = list(container.decode(video=0))
    return [np.asarray(every[index].to_ndarray(format="rgb24"), dtype=np.uint8) for index in CENTRES]


def test_each_video_equals_a_plain_loop_over_its_frames(
    videos: Sequence[Subject], whole: Block, moving: Protocol, random_clip: RandomClip, weights: Weights
) -> None:
    transform, tokenizer = open_clip.image_transform(224, is_train=False), open_clip.get_tokenizer("ViT-B-32")
    their_distance = their_lpips("alex", read_safetensors(weights.require("lpips-alexnet")))
    clip_score, lpips, consistency, _, similarity = merge_scores([whole], metrics=SCORED, protocol=moving)
    for index in (0, 3):
        video = videos[index]
        assert video.reference is not None
        samples, real = frames_of(video.open().read()), frames_of(video.reference.open().read())
        with torch.inference_mode():
            distances = [
                float(their_distance(their_input(a), their_input(b))) for a, b in zip(samples, real, strict=True)
            ]
            seen, reals = (
                random_clip.model.encode_image(
                    torch.stack([transform(Image.fromarray(each)) for each in frames]), normalize=True
                )
                for frames in (samples, real)
            )
            text = random_clip.model.encode_text(tokenizer([video.caption or ""]), normalize=True)
        neighbours = (seen[:-1] * seen[1:]).sum(dim=1).mean()
        assert lpips.per_sample is not None
        assert consistency.per_sample is not None
        assert similarity.per_sample is not None
        assert lpips.per_sample[index] == pytest.approx(np.mean(distances), abs=1e-4)
        assert clip_score.per_sample_details["cosine"][index] == pytest.approx(float((seen @ text.T).mean()), abs=1e-3)
        assert consistency.per_sample[index] == pytest.approx(float(neighbours), abs=1e-3)
        assert similarity.per_sample[index] == pytest.approx(float((seen * reals).sum(dim=1).mean()), abs=1e-3)


def test_shards_do_not_change_a_bit(
    videos: Sequence[Subject], whole: Block, both_weights: Weights, moving: Protocol
) -> None:
    metrics = ["lpips", "psnr"]
    shards = [compute_block([video], metrics=metrics, protocol=moving, weights=both_weights) for video in videos]
    one, many = (
        merge_scores([Block.load(block.to_bytes()) for block in blocks], metrics=metrics, protocol=moving)
        for blocks in ([whole], shards)
    )
    for a, b in zip(one, many, strict=True):
        assert (b.value, b.low, b.high) == (a.value, a.low, a.high)
        assert bits(b) == bits(a)


def test_a_still_video_is_wholly_consistent(both_weights: Weights, moving: Protocol) -> None:
    still = subject(filmed(moving_crop(1, 1) * 8))
    block = compute_block([still], metrics=["frame_consistency"], protocol=moving, weights=both_weights)
    (score,) = merge_scores([block], metrics=["frame_consistency"], protocol=moving)
    assert score.value == pytest.approx(1, abs=1e-3)


def test_metrics_of_pictures_refuse_videos_and_the_other_way_round(
    videos: Sequence[Subject], both_weights: Weights, moving: Protocol
) -> None:
    with pytest.raises(BadInput, match=r"^FID scores images, and the samples are videos; leave it out\.$"):
        compute_block(videos, metrics=["fid"], protocol=moving, weights=both_weights)
    with pytest.raises(BadInput, match=r"scores videos, and the samples are images; leave it out\.$"):
        compute_block(videos, metrics=["frame_consistency"], protocol=named(), weights=both_weights)
    film = subject(filmed(moving_crop(1)), encoded(moving_crop(1, 1)[0]), name="one.mp4")
    with pytest.raises(UnreadableImage, match=r"^The reference of one\.mp4 is not a video in a known container"):
        compute_block([film], metrics=["psnr"], protocol=moving, weights=both_weights)


def test_how_frames_are_sampled_is_part_of_the_fingerprint() -> None:
    still, moving = named(), named("clean", "video")
    for spec in METRICS.values():
        if spec.modalities == {"image", "video"}:
            assert moving.fingerprint(spec.name) != still.fingerprint(spec.name)
            assert replace(moving, frames=9).fingerprint(spec.name) != moving.fingerprint(spec.name)
    assert Protocol.from_dict(moving.to_dict()) == moving
    assert moving.column_facts("lpips_alex")["frames"]["count"] == FRAMES
