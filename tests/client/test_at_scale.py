"""Deliveries that are interrupted, large, or made by several at once, over HTTP against a running system."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evalhub.client import Client, Problem, Submission, Unfinished, sending
from evalhub.client.sending import Unwatched
from evalhub.client.spool import Made
from tests.benchmarks._photographs import write
from tests.client.conftest import Desk
from tests.client.test_shards import shard
from tests.deliveries import Delivery, arranged, workers_held
from tests.submitting import picture, promised
from tests.systems import System, clean_environment

FILES = 300


def test_300_photographs_with_the_server_killed_twice_and_the_client_once(live: System, tmp_path: Path) -> None:
    """As `make bench` does with 5,000: all arrive, each once, with the very bytes that were sent."""
    write(tmp_path / "files", FILES, 96)
    files = sorted((tmp_path / "files").iterdir())
    arranged(files, tmp_path / "outputs", prompts=20)
    with workers_held(live):
        delivery = Delivery.prepare(live, "at-scale", 20, tmp_path / "outputs")
        printed = delivery.deliver(kill_server_at=(40, 180), kill_client_at=(110,))
        arrived = delivery.arrived()
    assert "Complete: 300 files have arrived, all in order." in printed
    expected = {(f"p{number % 20:04}", number // 20): file.read_bytes() for number, file in enumerate(files)}
    assert len(arrived) == FILES
    assert {(prompt, seed): (sha256, size) for prompt, seed, sha256, size in arrived} == {
        key: (promised("x", content).sha256, len(content)) for key, content in expected.items()
    }
    assert delivery.stored() == FILES


class Counting(Unwatched):
    """Counts what goes out, and does something once so much has."""

    def __init__(self) -> None:
        self.total = 0
        self.lock = threading.Lock()

    def sent(self, size: int) -> None:
        with self.lock:
            self.total += size


@pytest.fixture
def large(outputs: Path) -> bytes:
    """An output that takes several pieces, once pieces are small."""
    content = picture(int.from_bytes(os.urandom(4)), size=(1100, 1000))
    (outputs / "cat.png").write_bytes(content)
    return content


def test_a_large_file_goes_on_where_it_was_cut_off(
    desk: Desk, outputs: Path, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PIECE", 2**20)
    manifest = [vars(promised(path.name, path.read_bytes())) for path in outputs.iterdir()]
    digest = promised("cat.png", large).sha256
    with desk.connection() as connection:
        body = {"checkpoint": {"name": "pieces"}, "files": manifest}
        begun = connection.ask("POST", "studies/faces/submissions/", json=body)
        address = f"submissions/{begun['id']}/files/{digest}/"
        headers = {"Content-Range": f"bytes 0-{2**20 - 1}/{len(large)}", "Content-Length": str(2**20)}
        assert connection.ask("PUT", address, content=lambda: large[: 2**20], headers=headers)["offset"] == 2**20
    watcher = Counting()
    with desk.client() as site:
        submission = site.submit("faces", "pieces", outputs, watcher=watcher)
    assert submission.is_complete
    assert watcher.total == sum(path.stat().st_size for path in outputs.iterdir())
    assert not (desk.system.home / "uploads" / "parts" / begun["id"]).exists()


def test_gunicorn_killed_between_pieces_costs_at_most_one(
    desk: Desk, outputs: Path, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PIECE", 2**20)
    killed = threading.Event()

    class Killing(Counting):
        def sent(self, size: int) -> None:
            super().sent(size)
            if self.total > 2 * 2**20 and not killed.is_set():
                killed.set()
                for pid, command in desk.system.processes().items():
                    if "gunicorn" in command:
                        os.kill(pid, signal.SIGKILL)

    with desk.client() as site:
        assert site.submit("faces", "killed between pieces", outputs, watcher=Killing()).is_complete
    assert killed.is_set()


def test_ctrl_c_in_the_middle_ends_soon_and_says_how_to_go_on(desk: Desk, outputs: Path) -> None:
    (outputs / "cat.png").write_bytes(
        picture(1, size=(16, 16)) + os.urandom(60 * 2**20)
    )  # no picture to its end, but large
    environment = {**clean_environment(), "EVALHUB_URL": desk.system.url, "EVALHUB_TOKEN": desk.token}
    command = [sys.executable, "-m", "evalhub.client.command", "submit", "--study", "faces", "--checkpoint", "ctrl-c"]
    parts = desk.system.home / "uploads" / "parts"
    process = subprocess.Popen([*command, str(outputs)], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 2**20 for part in parts.glob("*/*")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopped; what the site has received stays there" in said.splitlines()[-1]
    assert any(part.stat().st_size > 2**20 for part in parts.glob("*/*"))


def test_several_clients_with_one_manifest(desk: Desk, outputs: Path) -> None:
    found: list[Submission] = []

    def submit() -> None:
        with desk.client() as site:
            found.append(site.submit("faces", "together", outputs))

    clients = [threading.Thread(target=submit) for _ in range(4)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert len({submission.id for submission in found}) == 1
    with desk.client() as site:
        assert site.submission(found[0].id).is_complete


def test_tar_shards_by_the_command(desk: Desk, outputs: Path) -> None:
    for number, key in enumerate(("cat", "dog", "tree")):
        shard(outputs.parent / f"shard-{number:04}.tar", {f"{key}.png": (outputs / f"{key}.png").read_bytes()})
    pattern = str(outputs.parent / "shard-{0000..0002}.tar")
    done = desk.run("submit", "--study", "faces", "--checkpoint", "shards", pattern)
    assert (done.returncode, "Complete: 3 files" in done.stdout) == (0, True), done.stderr


def test_outputs_made_one_by_one_go_on_after_a_crash(desk: Desk, tmp_path: Path) -> None:
    def made(here: frozenset[tuple[str, int]]) -> Iterator[Made]:
        for key in ("cat", "dog", "tree"):
            if (key, 0) not in here:
                if crash and len(calls) == 2:
                    raise RuntimeError("the training job died")
                calls.append(key)
                yield key, 0, picture(int.from_bytes(os.urandom(4)))

    spool = tmp_path / "spool"
    crash = True
    calls: list[str] = []
    with desk.client() as site:
        with pytest.raises(RuntimeError):
            site.submit("faces", "generated", made, spool=spool)
        crash = False
        submission = site.submit("faces", "generated", made, spool=spool)
    assert submission.is_complete
    assert calls == ["cat", "dog", "tree"]
    assert not spool.exists()


def test_waiting_outlives_a_restart_and_ends_in_time(desk: Desk, outputs: Path) -> None:
    with desk.client() as site, workers_held(desk.system):
        submission = site.submit("faces", "waited for", outputs)
        with pytest.raises(Unfinished, match="was not scored within 1 s"):
            submission.wait(timeout=1)
    site = Client(desk.system.url, desk.token, patience=0.2)
    waiting = replace(submission, site=site)
    for pid, command in desk.system.processes().items():
        if "gunicorn" in command:
            os.kill(pid, signal.SIGKILL)
    scores = {score.metric: score for score in waiting.wait().scores()}
    site.close()
    assert scores["clip_score"].state == "waiting_for_weights"
    with desk.client() as site:
        (outputs / "tree.png").unlink()
        partial = site.submit("faces", "never whole", outputs)
        with pytest.raises(Unfinished, match="1 prompt has no output"):
            partial.wait()


def test_withdrawing_and_restoring(desk: Desk, outputs: Path) -> None:
    with desk.client() as site:
        submission = site.submit("faces", "withdrawn", outputs)
    assert desk.run("withdraw", submission.id, "--reason", "Wrong prompts.").returncode == 0
    assert "withdrawn  withdrawn" in desk.run("status", "--study", "faces").stdout
    again = desk.run("withdraw", submission.id, "--reason", "Wrong prompts.")
    assert (again.returncode, again.stdout) == (2, "")
    assert desk.run("restore", submission.id).returncode == 0
    waited = desk.run("status", submission.id, "--wait", "--timeout", "100")
    assert waited.returncode == 0, waited.stderr
    assert "The run is done." in waited.stdout


def test_preferences_go_to_a_file(desk: Desk, tmp_path: Path) -> None:
    with desk.client() as site:
        file = site.export_preferences("faces", tmp_path / "pairs.csv", split="train")
        assert "caption" in file.read_text().splitlines()[0]
        with pytest.raises(Problem):
            site.export_preferences("nothing", tmp_path / "none.csv")
    assert [path.name for path in tmp_path.glob("*.csv")] == ["pairs.csv"]
    assert not list(tmp_path.glob(".*unfinished"))


def test_a_stranger_with_a_long_body_is_answered_before_it_is_sent(desk: Desk) -> None:
    """The answer comes although no byte of the body ever does."""
    address = f"/api/v1/submissions/{'0' * 8}-0000-0000-0000-{'0' * 12}/files/{'0' * 64}/"
    wire = http.client.HTTPConnection("127.0.0.1", desk.system.port, timeout=20)
    wire.putrequest("PUT", address)
    for name, value in {"Authorization": "Token evh_wrong", "Content-Length": str(2**30)}.items():
        wire.putheader(name, value)
    wire.endheaders()
    assert wire.getresponse().status == 401
    wire.close()
