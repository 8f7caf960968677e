"""A folder of real pictures, sent by the client to a running site: whole, once, and on from where it stopped."""

from pathlib import Path

import pytest

from evalhub.client import Problem
from evalhub.client.layout import BadLayout
from evalhub.client.sending import Unwatched
from tests.client.conftest import Desk
from tests.submitting import picture


class Counting(Unwatched):
    def __init__(self) -> None:
        self.files = 0

    def missing(self, files: int, size: int) -> None:
        self.files += files


def test_a_folder_becomes_a_reference_and_is_sent_once(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "real"
    (folder / "b").mkdir(parents=True)
    for seed, name in enumerate(("b/2.png", "a.png", "again.png", "c.png")):
        (folder / name).write_bytes(picture(9000 + (1 if name == "again.png" else seed)))
    (folder / "LICENCE.txt").write_text("CC0")
    bad = folder / "d.png"
    bad.write_bytes(b"no picture")
    first, second = Counting(), Counting()
    with desk.client() as client:
        with pytest.raises(Problem, match=r"d\.png does not do\. The picture"):
            client.add_reference("faces", folder, "Real", licence="CC0", watcher=first)
        bad.unlink()
        made = client.add_reference("faces", folder, "Real", licence="CC0", watcher=second)
        assert (made["name"], made["licence"], made["images"]) == ("Real", "CC0", 3)
        assert first.files == 4
        assert client.add_reference("faces", folder, "Real", watcher=second) == made
        assert second.files < 4
        (folder / "e.png").write_bytes(picture(9100))
        with pytest.raises(Problem, match="a reference never changes"):
            client.add_reference("faces", folder, "Real")
        with pytest.raises(BadLayout, match="There is no folder"):
            client.add_reference("faces", tmp_path / "none", "Real")
