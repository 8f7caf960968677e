"""A running system (gunicorn, worker, servers) with one small study, and the real command against it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalhub.client import Client
from evalhub.client.connection import Connection
from tests.client.scripted import Script
from tests.submitting import picture
from tests.systems import System, clean_environment

MAKE_STUDY = """
import json
from evalhub.studies import services
from evalhub.studies.models import User
ben = User.objects.create_user("ben", password="correct-horse")
study = services.create_study(slug="faces", name="Faces", actor=ben)
for key in ("cat", "dog", "tree"):
    services.add_prompt(study=study, key=key, text=key, actor=ben)
print(json.dumps([services.create_token(user=ben, name="tests", scope=scope)[1] for scope in ("submit", "read")]))
"""


@dataclass
class Desk:
    """A researcher's machine: a home of its own, and the site it submits to."""

    system: System
    token: str
    read_token: str
    home: Path

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """`evalhub …` as this researcher."""
        site = {"EVALHUB_URL": self.system.url, "EVALHUB_TOKEN": self.token, "XDG_CONFIG_HOME": str(self.home)}
        settings = {**clean_environment(), **site, **environment}
        return subprocess.run(
            [sys.executable, "-m", "evalhub.client.command", *arguments],
            env={name: value for name, value in settings.items() if value},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def client(self) -> Client:
        return Client(self.system.url, self.token)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The client's own way to the site, for requests that a client would not make."""
        connection = Connection(self.system.url, self.token, timeout=30, patience=30)
        try:
            yield connection
        finally:
            connection.close()


@pytest.fixture(scope="session")
def tokens(live: System) -> list[str]:
    made: list[str] = json.loads(live.manage("shell", "-v", "0", "-c", MAKE_STUDY).splitlines()[-1])
    return made


@pytest.fixture
def desk(live: System, tokens: list[str], tmp_path: Path) -> Desk:
    home = tmp_path / "home"
    home.mkdir()
    submitting, reading = tokens
    return Desk(live, submitting, reading, home)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder with an output for each prompt, new bytes for each test."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    for key in ("cat", "dog", "tree"):
        (folder / f"{key}.png").write_bytes(picture(int.from_bytes(os.urandom(4)), size=(96, 96)))
    return folder


@pytest.fixture
def script() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
