"""Which files go together, and what is done about the answer."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalhub.client import Problem
from evalhub.client.bundles import BUNDLE, JOINED, MOST_FILES, SMALL, bundled, contents, table
from evalhub.client.connection import Connection
from evalhub.client.layout import Output
from evalhub.client.sending import Sender, Unwatched
from evalhub.client.sources import Hashed, Source
from tests.client.scripted import Script


def file(number: int, size: int, folder: Path = Path()) -> Hashed:
    return Hashed(Source(Output(f"{number}.png", "cat", number), folder / f"{number}.png"), f"{number:064x}", size)


def sizes(*files: Hashed, **here: int) -> list[list[int]]:
    known = {each.sha256: here.get(f"of_{number}", 0) for number, each in enumerate(files)}
    return [[each.size for each in bundle] for bundle in bundled(files, known)]


def test_small_files_go_together_and_large_ones_alone() -> None:
    assert sizes(file(0, 10), file(1, SMALL + 1), file(2, 20)) == [[SMALL + 1], [10, 20]]
    assert sizes(file(0, 10)) == [[10]]
    assert sizes() == []
    assert sizes(file(0, 10), file(1, 20), file(2, 30), of_1=5) == [[20], [10, 30]]
    full = [file(number, SMALL) for number in range(5)]
    assert sizes(*full) == [[SMALL] * (BUNDLE // SMALL), [SMALL]]
    tiny = [file(number, 1) for number in range(MOST_FILES + 1)]
    assert [len(bundle) for bundle in sizes(*tiny)] == [MOST_FILES, 1]


def test_a_body_is_the_table_and_the_files_in_order(tmp_path: Path) -> None:
    made = [b"a" * 10, b"b" * (2 * JOINED), b"c", b"d" * JOINED]
    files = []
    for number, content in enumerate(made):
        (tmp_path / f"{number}.png").write_bytes(content)
        files.append(file(number, len(content), tmp_path))
    assert b"".join(contents(files)) == b"".join(made)
    assert table(files) == b"".join(b"%064x %d\n" % (number, len(made[number])) for number in range(4)) + b"\n"


class Noting(Unwatched):
    def __init__(self) -> None:
        self.bytes = 0
        self.paths: list[str] = []

    def sent(self, size: int) -> None:
        self.bytes += size

    def arrived(self, path: str) -> None:
        self.paths.append(path)


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
def sender(script: Script, noting: Noting) -> Iterator[Sender]:
    connection = Connection(script.url, "t", timeout=5, patience=5)
    yield Sender(connection, "s", noting, threading.Event())
    connection.close()


def told(files: list[Hashed], *states: str, problem: str = "") -> tuple[int, dict[str, str], Any]:
    told = [{"sha256": each.sha256, "state": state} for each, state in zip(files, states, strict=True)]
    return 200, {}, {"submission": "incomplete", "files": [each | {"problem": problem} for each in told]}


@pytest.fixture
def files(tmp_path: Path) -> list[Hashed]:
    found = []
    for number in range(3):
        content = bytes([number]) * 1000
        path = tmp_path / f"{number}.png"
        path.write_bytes(content)
        source = Source(Output(path.name, "cat", number), path)
        found.append(Hashed(source, hashlib.sha256(content).hexdigest(), 1000))
    return found


def test_what_there_was_no_time_for_goes_again(
    script: Script,
    sender: Sender,
    noting: Noting,
    files: list[Hashed],
) -> None:
    script.answers = [(503, {}, ""), told(files, "received", "bad", "missing"), told(files[2:], "received")]
    sender.send_together(files)
    assert noting.paths == ["0.png", "1.png", "2.png"]
    assert noting.bytes == 3000
    lengths = [int(headers["Content-Length"]) for _, _, headers in script.asked]
    assert lengths == [3000 + 3 * 70 + 1, 3000 + 3 * 70 + 1, 1000 + 70 + 1]


def test_what_is_not_promised_any_more_ends_it(
    script: Script,
    sender: Sender,
    files: list[Hashed],
) -> None:
    script.answers = [told(files, "received", "missing", "missing", problem="No such file; post the manifest again.")]
    with pytest.raises(Problem, match="post the manifest again") as refused:
        sender.send_together(files)
    assert refused.value.status == 409
