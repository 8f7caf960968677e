"""Folders of edits and of videos on the command line, and one sentence for each way in which they do not match."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics.engine.errors import BadInput
from metrics.engine.folders import Layout, modality_of, samples_for
from metrics.engine.weights import Weights
from tests.engine.conftest import Folders, Pixels, degraded, encoded
from tests.engine.test_command import refusal, run
from tests.engine.test_videos import filmed, moving_crop


@pytest.fixture
def edits(photographs: list[Pixels], tmp_path: Path) -> Layout:
    """Three edited pictures with their sources, masks and captions."""
    layout = Layout(
        tmp_path / "edited",
        sources=tmp_path / "sources",
        masks=tmp_path / "masks",
        captions=tmp_path / "edits.csv",
    )
    for role in ("edited", "sources", "masks"):
        (tmp_path / role / "rain").mkdir(parents=True)
    for index, source in enumerate(photographs[:3]):
        mask = np.zeros_like(source)
        mask[: 10 * index] = 255
        (tmp_path / "edited" / "rain" / f"{index}.jpg").write_bytes(encoded(degraded(source), "JPEG"))
        (tmp_path / "sources" / "rain" / f"{index}.png").write_bytes(encoded(source))
        (tmp_path / "masks" / "rain" / f"{index}.png").write_bytes(encoded(mask))
    lines = [f"rain/{index}.jpg,Number {index} in the rain,Number {index}" for index in range(3)]
    (tmp_path / "edits.csv").write_text("\n".join(["file,caption,source_caption", *lines]), encoding="utf-8")
    return layout


@pytest.fixture(scope="module")
def filled(weights: Weights, clip_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with LPIPS and the random CLIP."""
    folder = tmp_path_factory.mktemp("filled")
    for path in (weights.require("lpips-alexnet"), clip_weights.require("clip-vit-b-32")):
        (folder / path.name).symlink_to(path)
    return folder


def test_a_folder_of_edits_is_scored(edits: Layout, filled: Path, tmp_path: Path) -> None:
    metrics = "clip_directional,lpips_outside,psnr_outside,clip_score"
    done = run(
        *("score", "--metrics", metrics, "--samples", edits.samples, "--sources", edits.sources),
        *("--masks", edits.masks, "--captions", edits.captions, "--weights", filled, "--json"),
        *("--per-sample", tmp_path / "each.csv"),
    )
    assert done.exit_code == 0, done.stderr
    scores = {each["metric"]: each for each in json.loads(done.stdout)["scores"]}
    assert list(scores) == metrics.split(",")
    assert all(each["n"] == 3 for each in scores.values())
    assert scores["clip_directional"]["details"]["unedited"] == 0
    with (tmp_path / "each.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    assert {row["psnr_outside_equal"] for row in rows} == {"False"}
    assert 20 < float(rows[0]["psnr_outside"]) < 50


def test_what_belongs_to_a_score_stands_below_the_table(edits: Layout, filled: Path) -> None:
    done = run(
        *("score", "--metrics", "clip_score", "--samples", edits.samples, "--captions", edits.captions),
        *("--weights", filled),
    )
    assert done.exit_code == 0, done.stderr
    line = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(
        r"CLIPScore \(ViT-B/32\): mean cosine (-?[\d.e-]+), cosine x100 (-?[\d.e-]+), captions cut 0", line
    )


def test_a_folder_of_videos_is_scored(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "real").mkdir()
    for index in range(2):
        clip = moving_crop(index, frames=8)
        (tmp_path / "videos" / f"{index}.mp4").write_bytes(filmed(clip, quality=40))
        (tmp_path / "real" / f"{index}.webm").write_bytes(filmed(clip, "webm", "libvpx-vp9"))
    done = run(
        *("score", "--metrics", "lpips,frame_consistency", "--samples", tmp_path / "videos"),
        *("--reference", tmp_path / "real", "--weights", filled, "--json"),
    )
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert [each["n"] for each in result["scores"]] == [2, 2]
    assert result["scores"][0]["settings"]["frames"] == 8
    assert result["efficiency"]["decoded"] == 4
    videos = ("--samples", tmp_path / "videos", "--reference", tmp_path / "real", "--weights", filled)
    assert refusal("--metrics", "fid", *videos) == "FID scores images, and the samples are videos; leave it out."
    shutil.copy(tmp_path / "videos" / "0.mp4", tmp_path / "videos" / "torn.mp4")
    shutil.copy(tmp_path / "real" / "0.webm", tmp_path / "real" / "torn.webm")
    (tmp_path / "videos" / "torn.mp4").write_text("<html>")
    assert refusal("--metrics", "lpips", *videos) == (
        f"{tmp_path}/videos/torn.mp4 is not a video in a known container (MP4, QuickTime, WebM, Matroska, AVI); "
        "send one of those."
    )


def told(metric: str, layout: Layout) -> str:
    with pytest.raises(BadInput) as told:
        samples_for([metric], layout)
    return str(told.value)


def test_what_is_missing_beside_an_edit_is_told(edits: Layout, photographs: list[Pixels]) -> None:
    samples, sources, masks, captions = edits.samples, edits.sources, edits.masks, edits.captions
    assert sources
    assert masks
    assert captions
    assert told("lpips_outside", Layout(samples, masks=masks)) == (
        "LPIPS outside the mask (AlexNet) needs --sources DIR; add it."
    )
    assert told("psnr_outside", Layout(samples, sources=sources)) == "PSNR outside the mask needs --masks DIR; add it."
    directional = "CLIP directional similarity (ViT-B/32)"
    assert told("clip_directional", Layout(samples, sources=sources)) == f"{directional} needs --captions CSV; add it."

    (masks / "rain" / "1.png").rename(masks / "rain" / "one.png")
    assert told("psnr_outside", edits) == (
        f"{samples}/rain/1.jpg has no mask of the same name in {masks}; "
        "PSNR outside the mask needs one for each sample."
    )
    (masks / "rain" / "one.png").rename(masks / "rain" / "1.png")
    (masks / "rain" / "1.png").write_bytes(encoded(photographs[1][:, :-3]))
    height, width = photographs[1].shape[:2]
    assert told("psnr_outside", edits) == (
        f"{samples}/rain/1.jpg is {width} × {height} pixels and its mask {width - 3} × {height}; "
        "PSNR outside the mask compares pictures of one size, so send the mask at that size."
    )
    written = captions.read_text(encoding="utf-8")
    captions.write_text(written.replace("source_caption", "before"), encoding="utf-8")
    assert told("clip_directional", edits) == (
        f"{captions} has the columns file, caption, before; its first line must name “file” and “source_caption”."
    )
    captions.write_text(written.replace(",Number 2\n", "").replace(",Number 2", "", 2), encoding="utf-8")
    assert told("clip_directional", edits).startswith(f"{captions}, line 4, lacks a file or a ")


def test_sizes_are_told_before_anything_is_fetched_or_computed(folders: Folders, tmp_path: Path) -> None:
    samples, empty = tmp_path / "samples", tmp_path / "empty"
    shutil.copytree(folders.samples, samples)
    with Image.open(samples / "23.png") as picture:
        width, height = picture.size
        picture.crop((0, 0, width - 1, height)).save(samples / "23.png")
    for metric, title in (("lpips", "LPIPS (AlexNet)"), ("ms_ssim", "MS-SSIM"), ("dists", "DISTS")):
        sentence = refusal(
            *("--metrics", metric, "--samples", samples, "--reference", folders.reference, "--weights", empty)
        )
        if metric == "ms_ssim":
            assert sentence.endswith(f"pixels; {title} needs at least 176 on each side.")
        else:
            assert sentence == (
                f"{samples}/23.png is {width - 1} × {height} pixels and its reference {width} × {height}; "
                f"{title} compares pictures of one size, so send the sample at its reference's size."
            )
    assert not empty.exists(), "no network was fetched"


def test_a_picture_that_its_camera_turned_fits_its_reference(photographs: list[Pixels], tmp_path: Path) -> None:
    for name in ("samples", "reference"):
        (tmp_path / name).mkdir()
    (tmp_path / "reference" / "one.png").write_bytes(encoded(photographs[0]))
    turned, exif = Image.fromarray(np.rot90(photographs[0])), Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    turned.save(tmp_path / "samples" / "one.jpg", quality=95, exif=exif)
    (subject,) = samples_for(["lpips"], Layout(tmp_path / "samples", tmp_path / "reference"))
    assert subject.reference


def test_pictures_and_videos_are_not_scored_together(folders: Folders, tmp_path: Path) -> None:
    os.symlink(folders.samples / "01.png", tmp_path / "01.png")
    assert modality_of(tmp_path) == "image"
    (tmp_path / "clip.mp4").touch()
    assert refusal("--metrics", "clip_score", "--samples", tmp_path) == (
        f"{tmp_path} holds pictures and videos (01.png, clip.mp4); score them apart."
    )
    (tmp_path / "01.png").unlink()
    assert modality_of(tmp_path) == "video"
