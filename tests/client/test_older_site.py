"""A site that knows less than the client: its user gets there all the same, and is told why it takes longer."""

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalhub.client import Output, Problem
from evalhub.client.bundles import SMALL
from evalhub.client.connection import Connection
from evalhub.client.sending import Sender, Unwatched
from evalhub.client.sources import Source, take_hash
from evalhub.embedded import free_port
from tests.client.conftest import Desk
from tests.client.scripted import Script
from tests.systems import SOURCE


@pytest.fixture
def older(desk: Desk, tmp_path: Path) -> Iterator[str]:
    """The address of such a site, beside the running one and with its database."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "tests.client.older_site", "--bind", f"127.0.0.1:{port}"]
    with (tmp_path / "gunicorn.log").open("wb") as log:
        options = ["--worker-class", "gthread", "--threads", "8", "--no-control-socket"]
        process = subprocess.Popen(
            [*command, *options], cwd=SOURCE, env=desk.system.environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while not _answers(f"http://127.0.0.1:{port}/healthz"):
            assert process.poll() is None, (tmp_path / "gunicorn.log").read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Noting(Unwatched):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_small_files_go_one_by_one_to_a_site_that_knows_no_other_way(desk: Desk, outputs: Path, older: str) -> None:
    for name in ("dog.png", "tree.png"):  # together more than a connection holds that nobody reads from
        (outputs / name).write_bytes(os.urandom(SMALL - 1000))
    done = desk.run("submit", "--study", "faces", "--checkpoint", "older", str(outputs), EVALHUB_URL=older)
    told = "This site takes one file in a request only: many small files take longer."
    assert done.stderr.splitlines().count(told) == 1, done.stderr
    assert done.returncode == 1
    assert "dog.png is " in done.stdout
    with desk.client() as site:
        (found,) = [row for row in site.submissions("faces") if row["checkpoint"]["name"] == "older"]
        report = site.submission(found["id"])
    assert (report.received, sorted(bad.path for bad in report.bad_files)) == (1, ["dog.png", "tree.png"])


def test_a_submission_that_is_gone_is_not_taken_for_an_older_site(script: Script, tmp_path: Path) -> None:
    script.answers = [(404, {}, {"detail": "There is no such submission."})]
    (tmp_path / "cat.png").write_bytes(b"cat")
    file = take_hash(Source(Output("cat.png", "cat"), tmp_path / "cat.png"))
    connection, noting = Connection(script.url, "t", timeout=5, patience=5), Noting()
    with pytest.raises(Problem, match="There is no such submission"):
        Sender(connection, "s", noting, threading.Event()).send_together([file])
    connection.close()
    assert [verb for verb, _, _ in script.asked] == ["POST", "PUT"]
    assert noting.sentences == []
