"""`python -m metrics.engine`: its JSON, its files, and one sentence for each kind of bad input."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from metrics.engine.__main__ import app
from metrics.engine.protocol import named
from metrics.engine.weights import Weights
from tests.engine.conftest import REPOSITORY, Folders


def engine(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "metrics.engine", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def run(*arguments: object) -> Result:
    """The command in this process, where torch is already loaded."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def refusal(*arguments: object) -> str:
    """The sentence under which `score` ends with status 2."""
    done = run("score", *arguments)
    assert done.exit_code == 2, done.stderr
    assert done.stdout == ""
    sentence: str = done.stderr.strip().splitlines()[-1]
    return sentence


def test_scores_of_two_folders(folders: Folders, weights: Weights, tmp_path: Path) -> None:
    done = engine(
        *("score", "--metrics", "fid,kid,lpips", "--samples", folders.samples, "--reference", folders.reference),
        *("--weights", weights.folder, "--per-sample", tmp_path / "each.csv", "--protocol", "clean", "--json"),
        *("--price-per-hour", 1.8),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [score["metric"] for score in result["scores"]] == ["fid", "kid", "lpips"]
    for score in result["scores"]:
        assert score["low"] < score["value"] < score["high"]
        assert score["n"] == 24
        assert score["protocol"] == "clean"
        assert score["fingerprint"] == named("clean").fingerprint(score["metric"])
    assert result["efficiency"]["decoded"] == 48
    took = result["efficiency"]
    assert took["images_per_second"] > 0
    assert {"decode", "resize", "forward", "reduce"} <= set(took["images_per_second_by_stage"])
    assert 0 < took["busy_share"] < 1
    assert took["cost_per_million_images"] == pytest.approx(1.8 / 3600 * 1e6 / took["images_per_second"])
    assert "48/48" in done.stderr
    assert "FID on 24 samples is weak" in done.stderr

    with (tmp_path / "each.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == sorted(each.name for each in folders.samples.iterdir())
    mean = sum(float(row["lpips"]) for row in rows) / 24
    assert mean == pytest.approx(result["scores"][2]["value"])


def test_a_second_run_with_a_cache_decodes_nothing_and_says_the_same(
    folders: Folders, weights: Weights, tmp_path: Path
) -> None:
    asked = (
        *("score", "--metrics", "fid,lpips", "--samples", folders.samples, "--reference", folders.reference),
        *("--weights", weights.folder, "--cache", tmp_path / "cache", "--price-per-hour", "2", "--json"),
    )
    first, second = (json.loads(run(*asked).stdout) for _ in range(2))
    assert (first["efficiency"]["decoded"], second["efficiency"]["decoded"]) == (48, 0)
    assert second["efficiency"]["cost_per_million_images"] is None
    for key in ("value", "low", "high", "fingerprint"):
        assert [score[key] for score in first["scores"]] == [score[key] for score in second["scores"]]
    kept = set((tmp_path / "cache").iterdir())
    for file in kept:
        file.write_bytes(file.read_bytes()[:-1])
    third = json.loads(run(*asked).stdout)
    assert third["efficiency"]["decoded"] == 48, "damaged files are passed over"
    assert set((tmp_path / "cache").iterdir()) == kept


def test_drift_of_a_reduced_precision(folders: Folders, weights: Weights) -> None:
    done = run(
        *("drift", "--metrics", "fid,lpips", "--samples", folders.samples, "--reference", folders.reference),
        *("--weights", weights.folder, "--dtype", "bfloat16"),
    )
    assert done.exit_code == 0, done.stderr
    drift = json.loads(done.stdout)
    assert (drift["dtype"], drift["samples"], drift["references"]) == ("bfloat16", 24, 24)
    fid, lpips = drift["metrics"]
    assert fid["difference"] == pytest.approx(fid["reduced"] - fid["full"])
    assert 0 < abs(fid["difference"]) < 0.05 * fid["full"]
    assert fid["largest"] is None
    assert 0 < lpips["mean"] < lpips["largest"] < 0.02
    assert lpips["fingerprint"] == named().with_dtype("bfloat16").fingerprint("lpips")
    assert 0 < drift["features"]["inception"]["mean"] < 0.05


def test_bad_input_ends_a_real_process_without_traceback(tmp_path: Path) -> None:
    done = engine("score", "--samples", tmp_path / "nowhere", "--reference", tmp_path, "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"There is no folder {tmp_path}/nowhere; give the path of a folder of pictures.\n"


def test_a_table_for_people_and_a_trace_for_the_curious(folders: Folders, weights: Weights, tmp_path: Path) -> None:
    done = run(
        *("score", "--metrics", "lpips", "--samples", folders.samples, "--reference", folders.reference),
        *("--weights", weights.folder, "--profile", tmp_path / "trace.json"),
    )
    assert done.exit_code == 0, done.stderr
    assert "LPIPS (AlexNet) ↓" in done.stdout
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert any(event["name"] == "mkldnn::_convolution_pointwise" for event in trace["traceEvents"])


def test_clip_needs_an_imported_checkpoint_and_then_scores(
    folders: Folders, clip_weights: Weights, tmp_path: Path
) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("00.jpg", "01.png"):
        shutil.copy(folders.samples / name, samples)
    captions = tmp_path / "captions.csv"
    captions.write_text("file,caption\n00.jpg,A canyon\n01.png,Two boats\n")
    asked = ("--metrics", "clip_score", "--samples", samples, "--captions", captions)

    assert refusal(*asked, "--weights", tmp_path / "empty") == (
        "The weights “clip-vit-b-32” are not here yet; "
        "get them with `python manage.py weights import clip-vit-b-32 FILE`."
    )
    done = run("score", *asked, "--weights", clip_weights.folder, "--json")
    assert done.exit_code == 0, done.stderr
    (score,) = json.loads(done.stdout)["scores"]
    assert score["n"] == 2
    assert score["settings"]["clip_model"] == "ViT-B-32"
    assert {"mean_cosine", "cosine_x100", "captions_cut"} == set(score["details"])

    captions.write_text("file,caption\n00.jpg,A canyon\n")
    assert refusal(*asked, "--weights", clip_weights.folder) == (
        f"{samples}/01.png has no caption in {captions}; add a line for “01.png”."
    )


def test_bad_input_is_one_sentence_that_names_the_file(folders: Folders, weights: Weights, tmp_path: Path) -> None:
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    shutil.copytree(folders.reference, other)
    (other / "07.png").unlink()
    fid = ("--metrics", "fid", "--weights", weights.folder)
    lpips = ("--metrics", "lpips", "--weights", weights.folder)

    assert refusal(*fid, "--samples", tmp_path / "nowhere", "--reference", other) == (
        f"There is no folder {tmp_path}/nowhere; give the path of a folder of pictures."
    )
    assert refusal(*fid, "--samples", empty, "--reference", other).startswith(f"{empty} holds no picture (")
    assert refusal(*fid, "--samples", folders.samples) == "FID needs --reference DIR; add it."
    assert refusal("--metrics", "fidd", "--samples", folders.samples).startswith("There is no metric called “fidd”")
    assert refusal("--metrics", "clip_score", "--samples", folders.samples) == (
        "CLIPScore (ViT-B/32) needs --captions CSV; add it."
    )
    assert refusal(*lpips, "--samples", folders.samples, "--reference", other) == (
        f"{folders.samples}/07.png has no reference of the same name in {other}; "
        "LPIPS (AlexNet) needs one for each sample."
    )
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--per-sample", tmp_path / "p.csv") == (
        "None of these metrics has per-sample scores; leave --per-sample out, or add lpips or clip_score."
    )
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--device", "abacus") == (
        "There is no device “abacus” on this machine; choose cpu, or cuda where there is a GPU."
    )
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--dtype", "int8") == (
        "There is no arithmetic called “int8”; choose from float32, bfloat16, float16."
    )
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--dtype", "float16") == (
        "A CPU has no float16 arithmetic of its own; choose bfloat16 or float32, or a GPU."
    )
    file = folders.samples / "00.jpg"
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--cache", file) == (
        f"{file} cannot be a cache (File exists); give --cache another folder."
    )
    nowhere = tmp_path / "nowhere" / "trace.json"
    assert refusal(*fid, "--samples", folders.samples, "--reference", other, "--profile", nowhere) == (
        f"{nowhere} cannot be written (No such file or directory); choose another path for --profile."
    )
    (tmp_path / "captions.csv").write_text("name,text\n00.jpg,A canyon\n")
    captioned = ("--metrics", "clip_score", "--captions", tmp_path / "captions.csv")
    assert refusal(*captioned, "--samples", folders.samples) == (
        f"{tmp_path}/captions.csv has the columns name, text; its first line must name “file” and “caption”."
    )


def test_bad_pictures_and_sizes_are_one_sentence_too(folders: Folders, weights: Weights, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("00.jpg", "01.png"):
        shutil.copy(folders.samples / name, samples)
    common = ("--samples", samples, "--reference", folders.reference, "--weights", weights.folder)
    with Image.open(samples / "01.png") as picture:
        width, height = picture.size
        picture.crop((0, 0, width - 1, height)).save(samples / "01.png")
    assert f"{samples}/01.png is {width - 1} × {height} pixels and its reference {width} × {height}" in refusal(
        "--metrics", "lpips", *common
    )
    (samples / "00.jpg").write_text("<html>")
    assert f"{samples}/00.jpg is not a picture in a known format" in refusal("--metrics", "fid", *common)
    shutil.copy(folders.samples / "00.jpg", samples)
    (samples / "01.png").unlink()
    alone = ("--samples", samples, "--reference", samples, "--weights", weights.folder)
    assert refusal("--metrics", "fid", *alone) == f"{samples} holds 1 picture, and FID needs at least 2; add more."


def test_the_weights_folder_from_the_command_line(weights: Weights, tmp_path: Path) -> None:
    missing = run("weights", "verify", "lpips-alexnet", "--weights", tmp_path)
    assert missing.exit_code == 2
    assert missing.stderr.startswith("The weights “lpips-alexnet” are not here yet")
    file = weights.require("lpips-alexnet")
    imported = run("weights", "import", "lpips-alexnet", file, "--weights", tmp_path)
    assert imported.stdout.strip() == str(tmp_path / "lpips-alexnet.safetensors")
    verified = run("weights", "verify", "lpips-alexnet", "--weights", tmp_path)
    assert verified.stdout.strip() == f"{tmp_path}/lpips-alexnet.safetensors is whole."
    assert "lpips-alexnet" in run("weights", "list", "--weights", tmp_path).stdout
    assert run("weights", "pull", "lpips-alexnet", "--weights", tmp_path).exit_code == 0
