"""Outputs made one by one: kept as they come, gone on with after a crash, in the shapes that programs have them."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evalhub.client.layout import BadLayout, Output, find
from evalhub.client.pictures import encoded
from evalhub.client.spool import Made, Spool
from tests.submitting import picture
from tests.systems import SOURCE


def pixels(picture_of: object) -> np.ndarray:
    content, _ = encoded(picture_of)
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_an_array_becomes_a_png_without_loss(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(pixels(array), array.reshape(shape[:2]) if shape[2:] == (1,) else array)
    assert np.array_equal(pixels(array[::-1, ::2]), array[::-1, ::2].squeeze())  # a view with strides of its own


def test_other_shapes_of_a_picture(tmp_path: Path) -> None:
    content = picture(1)
    (tmp_path / "x.jpeg").write_bytes(content)
    assert encoded(content) == encoded(memoryview(content)) == (content, ".png")
    assert encoded(tmp_path / "x.jpeg") == encoded(str(tmp_path / "x.jpeg")) == (content, ".jpeg")
    assert np.array_equal(pixels(Image.open(io.BytesIO(content))), np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((4, 4)), "got float64 of"),
        (np.zeros((4, 4, 2), np.uint8), r"got uint8 of \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), "got uint8 of"),
        (7, "got a int"),
        ("/nowhere/x.png", "cannot be read: No such file"),
    ],
)
def test_what_is_no_picture(given: object, sentence: str) -> None:
    with pytest.raises(BadLayout, match=sentence):
        encoded(given)


def test_a_spool_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made: list[tuple[str, int]] = []

    def outputs(here: frozenset[tuple[str, int]]) -> list[Made]:
        wanted = [(key, seed) for key in ("cat", "dog") for seed in (0, 1) if (key, seed) not in here]
        made.extend(wanted)
        return [(key, seed, picture(seed)) for key, seed in wanted]

    with Spool(tmp_path / "spool") as spool:
        spool.fill([("cat", 0, picture(0))])
    manifest = tmp_path / "spool" / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes() + b'{"path": "half a li')  # as a crash leaves it
    with Spool(tmp_path / "spool") as spool:
        spool.fill(outputs)
        assert made == [("cat", 1), ("dog", 0), ("dog", 1)]
        assert {(source.output.prompt, source.output.seed) for source in spool.sources()} == spool.here
        spool.fill(iter([("cat", 0, b"never looked at")]))
        assert len(find(tmp_path / "spool").outputs) == 4
        with pytest.raises(BadLayout, match="Another program is filling"), Spool(tmp_path / "spool"):
            pass


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ([("cat", 0, b"x"), ("cat", 0, b"y")], "“cat” with seed 0 was given twice"),
        ([("cat", b"x")], "An output is a prompt's key, a seed and a picture"),
        ([("cat", "0", b"x")], "got 'cat' and '0'"),
        ([7], "got 7"),
    ],
)
def test_outputs_that_are_none(tmp_path: Path, outputs: list[Made], sentence: str) -> None:
    with Spool(tmp_path / "spool") as spool, pytest.raises(BadLayout, match=sentence):
        spool.fill(outputs)


CRASHING = """
import os, signal, sys
from pathlib import Path
from evalhub.client.spool import Spool
def outputs(here):
    for seed in range(20):
        if len(here) + seed == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if ("cat", seed) not in here:
            yield "cat", seed, b"picture %d" % seed
with Spool(Path(sys.argv[1])) as spool:
    spool.fill(outputs)
"""


def test_a_killed_program_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    command = [sys.executable, "-c", CRASHING, str(folder)]
    assert subprocess.run(command, cwd=SOURCE, check=False).returncode == -9
    assert len((folder / "manifest.jsonl").read_text().splitlines()) == 7
    assert subprocess.run(command, cwd=SOURCE, check=False).returncode == -9  # 7 here, so at once
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == list(range(7))
    with Spool(folder) as spool:
        assert Output(lines[3]["path"], "cat", 3) in [source.output for source in spool.sources()]
        assert (folder / lines[3]["path"]).read_bytes() == b"picture 3"
