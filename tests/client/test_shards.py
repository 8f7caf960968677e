"""WebDataset tar shards, as the real tool writes them: by names, by JSON, by patterns."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from evalhub.client.layout import BadLayout, Output
from evalhub.client.shards import expand
from evalhub.client.sources import gather, take_hash
from tests.submitting import picture, promised


def shard(path: Path, members: Mapping[str, bytes], mode: Literal["w", "w:gz", "w:bz2", "w:xz"] = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_samples_by_key_and_by_json(tmp_path: Path) -> None:
    said = json.dumps({"prompt": "dog", "seed": 7}).encode()
    first = {"cat.png": picture(1), "cat.txt": b"A cat", "000001.json": said, "000001.v2.webp": picture(2)}
    shard(tmp_path / "shard-0000.tar", first)
    shard(tmp_path / "shard-0001.tar", {"./tree/3.PNG": picture(3), "tree/3.npy": b"x", "tree/4.jpg": picture(4)})
    with pytest.raises(BadLayout, match=r"no shard .*shard-0002"):
        gather([f"{tmp_path}/shard-{{0000..0002}}.tar"])
    found = gather([f"{tmp_path}/shard-{{0000..0001}}.tar"])
    assert [source.output for source in found.sources] == [
        Output("shard-0000.tar/cat.png", "cat"),
        Output("shard-0000.tar/000001.v2.webp", "dog", 7),
        Output("shard-0001.tar/tree/3.PNG", "tree", 3),
        Output("shard-0001.tar/tree/4.jpg", "tree", 4),
    ]
    assert found.left_out == ["shard-0001.tar/tree/3.npy"]
    for source, content in zip(found.sources, map(picture, (1, 2, 3, 4)), strict=True):
        hashed = take_hash(source)
        assert (hashed.sha256, hashed.size) == (promised("x", content).sha256, len(content))
        assert b"".join(hashed.read(10, hashed.size - 10)) == content[10:]
    assert len(list(tmp_path.iterdir())) == 2  # nothing was unpacked


def test_patterns(tmp_path: Path) -> None:
    names = [f"{part}-{number:02}.tar" for part in ("a", "b") for number in (9, 10)]
    for name in names:
        shard(tmp_path / name, {"x.png": b"x"})
    spelled = expand(f"{tmp_path}/{{a,b}}-{{09..10}}.tar")
    assert [path.name for path in spelled] == names
    assert expand(f"{tmp_path}/*.tar") == sorted(spelled)
    assert [path.name for path in expand(f"{tmp_path}/a-{{10..09}}.tar")] == ["a-10.tar", "a-09.tar"]
    with pytest.raises(BadLayout, match="No file matches"):
        expand(f"{tmp_path}/c*.tar")
    with pytest.raises(BadLayout, match="more than the 100,000 shards"):
        expand("{0..999999}.tar")
    with pytest.raises(BadLayout, match="more than the 100,000 shards"):
        expand("{0..999}{0..999}.tar")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"notes.txt": b"x"}, "no pictures in"),
        ({"cat/one.png": b"x"}, "“one” is no whole number"),
        ({"cat.png": b"x", "cat.jpg": b"y"}, "several pictures of the sample cat"),
        ({"cat.png": b"x", "cat.json": b"{not json"}, "cannot be read as JSON"),
        ({"cat.png": b"x", "cat.json": b'{"prompt": 7}'}, "has a prompt, which is a key"),
        ({"cat.png": b"x", "cat.json": b'{"prompt": "cat", "seed": "1"}'}, "a seed, a whole number"),
        ({"cat.png": b"x", "cat.json": b"[" * 100_000}, "cannot be read as JSON"),
    ],
)
def test_shards_that_make_no_sense(tmp_path: Path, members: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(BadLayout, match=sentence):
        gather([shard(tmp_path / "x.tar", members)])


def test_what_is_no_plain_tar(tmp_path: Path) -> None:
    packed = shard(tmp_path / "packed.tar", {"cat.png": b"x" * 1000}, "w:gz")
    (tmp_path / "cut.tar").write_bytes(shard(tmp_path / "whole.tar", {"cat.png": b"x" * 10_000}).read_bytes()[:5000])
    (tmp_path / "text.tar").write_text("no archive at all")
    for name in (packed.name, "text.tar"):
        with pytest.raises(BadLayout, match="cannot be read as a tar file"):
            gather([tmp_path / name])
    with pytest.raises(BadLayout, match=r"changed while it was being submitted|cannot be read as a tar"):
        take_hash(gather([tmp_path / "cut.tar"]).sources[0])


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("path,prompt\n")
    for places, sentence in (
        ([tmp_path / "a", tmp_path / "b"], "several of another kind"),
        ([tmp_path / "list.csv"], "no manifest"),
        ([tmp_path / "empty.csv"], "lists no files"),
        ([tmp_path / "shard-*"], "names tar shards and ends in .tar"),
        ([tmp_path / ("x" * 10_000)], "name too long|is no folder"),
    ):
        with pytest.raises((BadLayout, OSError), match=rf"(?i){sentence}"):
            gather(places)
    (tmp_path / "mine.csv").write_text("path,prompt,seed\nx.png,cat,2\n")
    (tmp_path / "x.png").write_bytes(picture(1))
    assert [source.output for source in gather([tmp_path / "mine.csv"]).sources] == [Output("x.png", "cat", 2)]
