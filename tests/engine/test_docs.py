"""docs/metrics.md and docs/performance.md: their commands run as written, and they name all there is."""

import os
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from metrics.engine.__main__ import app
from metrics.engine.catalogue import WEIGHTS
from metrics.engine.protocol import FID_RESIZES
from metrics.engine.registry import METRICS
from metrics.engine.weights import Weights
from tests.blocks import all_blocks, blocks
from tests.engine.conftest import REPOSITORY, Folders
from tests.engine.test_videos import filmed, moving_crop

PAGE = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")


SCORED = [*blocks("docs/metrics.md", "sh"), *blocks("docs/performance.md", "sh")]
COMMANDS = [line for block in SCORED for line in block.splitlines()]


@pytest.fixture(scope="module")
def home(folders: Folders, weights: Weights, clip_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page's reader has it, with four samples, edits of them, videos, and every network."""
    home = tmp_path_factory.mktemp("reader")
    for name in ("samples", "reference", "weights"):
        (home / name).mkdir()
    for index in range(4):
        shutil.copy(folders.reference / f"{index:02}.png", home / "reference")
        shutil.copy(next(folders.samples.glob(f"{index:02}.*")), home / "samples")
    lines = [f"{each.name},A photograph" for each in sorted((home / "samples").iterdir())]
    (home / "captions.csv").write_text("\n".join(["file,caption", *lines]), encoding="utf-8")
    _add_edits(home)
    _add_videos(home)
    for folder in (weights, clip_weights):
        for state in folder.states():
            if state.present:
                (home / "weights" / state.path.name).symlink_to(state.path)
    return home


def _add_edits(home: Path) -> None:
    """The samples again, as edits of their references, with masks over their upper halves."""
    shutil.copytree(home / "samples", home / "edited")
    shutil.copytree(home / "reference", home / "sources")
    (home / "masks").mkdir()
    for path in (home / "sources").iterdir():
        with Image.open(path) as source:
            mask = Image.new("L", source.size)
            mask.paste(255, (0, 0, source.width, source.height // 2))
            mask.save(home / "masks" / path.name)
    lines = [f"{each.name},A photograph in the rain,A photograph" for each in sorted((home / "edited").iterdir())]
    (home / "edits.csv").write_text("\n".join(["file,caption,source_caption", *lines]), encoding="utf-8")


def _add_videos(home: Path) -> None:
    (home / "videos").mkdir()
    for index in range(2):
        (home / "videos" / f"{index}.mp4").write_bytes(filmed(moving_crop(index, frames=8)))
    (home / "videos.csv").write_text("file,caption\n0.mp4,A photograph\n1.mp4,Another\n", encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setitem(os.environ, "EVALHUB_WEIGHTS", str(home / "weights"))
    program, *arguments = shlex.split(command.removeprefix("python -m "))
    assert program == "metrics.engine"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert done.stdout


def test_the_page_names_every_metric_protocol_and_network() -> None:
    for spec in METRICS.values():
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{spec.name}` |")]
        assert spec.title in row
        assert f"| {spec.direction} |" in row
        assert f"{spec.minimum_n:,} samples" in row
    for protocol in FID_RESIZES:
        assert f"- `{protocol}`:" in PAGE
    for name in WEIGHTS:
        assert f"| `{name}` |" in PAGE


def test_the_benchmarks_that_pages_name_are_there() -> None:
    named = [
        name
        for page in ("docs/performance.md", "docs/ranking.md")
        for block in all_blocks(page)
        for line in block.text.splitlines()
        if "tests.benchmarks " in line
        for name in line.partition("tests.benchmarks ")[2].split()
    ]
    assert len(named) > 5
    for name in named:
        assert (REPOSITORY / "tests" / "benchmarks" / f"{name}.py").exists()
