"""What was read is not read again, unless it may have changed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evalhub.client import BadLayout, Output, remembered
from evalhub.client.remembered import Remembered
from evalhub.client.sources import Hashed, Source, take_hash
from tests.client.conftest import Desk

OLD = time.time() - 3600


def source(file: Path, content: bytes, start: int = 0, size: int | None = None) -> Source:
    file.write_bytes(content)
    return Source(Output(file.name, "cat"), file, start, size)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this test count as written long ago, and each of them is worth a line."""
    monkeypatch.setattr(remembered, "SETTLED", -60.0)
    monkeypatch.setattr(remembered, "STEP", 1)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    found: list[str] = []

    def noting(source: Source) -> Hashed:
        found.append(source.file.name)
        return take_hash(source)

    monkeypatch.setattr(remembered, "take_hash", noting)
    return found


def test_a_file_is_read_once(tmp_path: Path, settled: None, reads: list[str]) -> None:
    cat = source(tmp_path / "cat.png", b"cat")
    first = Remembered(tmp_path / "read" / "one").hashed(cat)
    again = Remembered(tmp_path / "read" / "one")
    assert again.hashed(cat) == first == take_hash(cat)
    assert reads == ["cat.png"]
    again.forget()
    Remembered(again.file).hashed(cat)
    assert reads == ["cat.png", "cat.png"]


def test_parts_of_a_shard_are_told_apart(tmp_path: Path, settled: None, reads: list[str]) -> None:
    first = source(tmp_path / "shard.tar", b"catdog", 0, 3)
    second, beyond = Source(first.output, first.file, 3, 3), Source(first.output, first.file, 3, 9)
    for _ in range(2):
        memory = Remembered(tmp_path / "one")
        assert [memory.hashed(each) for each in (first, second)] == [take_hash(each) for each in (first, second)]
        with pytest.raises(BadLayout):
            memory.hashed(beyond)
    assert len(reads) == 2 + 2


def rewritten(file: Path) -> None:
    times = file.stat()
    file.write_bytes(b"dog")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"dog")
    os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    other.replace(file)


@pytest.mark.parametrize("change", [rewritten, replaced])
def test_a_file_that_changed_is_read_again_even_with_its_old_time(
    tmp_path: Path, settled: None, change: Callable[[Path], None]
) -> None:
    cat = source(tmp_path / "cat.png", b"cat")
    Remembered(tmp_path / "one").hashed(cat)
    time.sleep(0.02)  # the kernel's clock of files goes in steps of some milliseconds
    change(cat.file)
    assert Remembered(tmp_path / "one").hashed(cat) == take_hash(cat)


def test_what_was_written_just_now_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.setattr(remembered, "STEP", 1)
    cat = source(tmp_path / "cat.png", b"cat")
    for _ in range(2):
        Remembered(tmp_path / "one").hashed(cat)
    assert reads == ["cat.png", "cat.png"]


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path, settled: None, reads: list[str]) -> None:
    cat, dog = source(tmp_path / "cat.png", b"cat"), source(tmp_path / "dog.png", b"dog")
    memory = Remembered(tmp_path / "one")
    memory.hashed(cat)
    whole = memory.file.read_bytes()
    for cut in range(len(whole)):
        memory.file.write_bytes(whole[:cut])
        Remembered(memory.file).hashed(dog)
        known = Remembered(memory.file)
        assert (known.hashed(cat), known.hashed(dog)) == (take_hash(cat), take_hash(dog))
    assert reads.count("dog.png") == reads.count("cat.png") - 1 == len(whole)


def test_where_nothing_can_be_kept_files_are_read_again(tmp_path: Path, settled: None, reads: list[str]) -> None:
    cat = source(tmp_path / "cat.png", b"cat")
    for _ in range(2):
        assert Remembered(tmp_path / "cat.png" / "one").hashed(cat) == take_hash(cat)
    assert len(reads) == 2


SUBMIT = """
import sys
from evalhub.client import command, remembered
remembered.SETTLED, remembered.STEP = -60.0, 1
sys.argv = ["evalhub", "submit", *sys.argv[1:]]
command.main()
"""


def test_a_submission_that_lacks_something_is_remembered_until_it_is_complete(desk: Desk, outputs: Path) -> None:
    def submit() -> None:
        site = {"EVALHUB_URL": desk.system.url, "EVALHUB_TOKEN": desk.token, "XDG_CACHE_HOME": str(desk.home)}
        command = [sys.executable, "-c", SUBMIT, "--study", "faces", "--checkpoint", "remembered", str(outputs)]
        subprocess.run(command, env={**os.environ, **site}, check=False)

    tree = (outputs / "tree.png").read_bytes()
    (outputs / "tree.png").unlink()
    submit()
    (lines,) = (desk.home / "evalhub" / "read").iterdir()
    assert len(lines.read_text().splitlines()) == 1 + 2
    (outputs / "tree.png").write_bytes(tree)
    submit()
    assert not list(lines.parent.iterdir())
    with desk.client() as site:
        (row,) = [row for row in site.submissions("faces") if row["checkpoint"]["name"] == "remembered"]
    assert row["state"] == "complete"
