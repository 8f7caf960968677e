"""Label Studio beside us: a project of its own kind for comparing two pictures, its own server, its own API, on SQLite
in a temporary folder, as `label-studio start` runs it. It is installed in an environment of its own."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalhub.embedded import free_port
from tests.benchmarks._raters import Connection, Tally

HOME = Path(__file__).parents[2] / ".venv" / "peers" / "label-studio"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
CONFIG = """<View><Image name="left" value="$left"/><Image name="right" value="$right"/>
<Choices name="choice" toName="left" choice="single"><Choice value="left"/><Choice value="right"/><Choice value="tie"/>
<Choice value="both_bad"/></Choices></View>"""
JSON = {"Content-Type": "application/json", "Authorization": f"Token {TOKEN}"}


@dataclass
class LabelStudio:
    port: int
    project: int = 0

    def call(self, path: str, body: Any) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, JSON)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def fill(self, tasks: int) -> None:
        self.project = self.call("/api/projects", {"title": "Which is better", "label_config": CONFIG})["id"]
        rows = [{"left": f"http://127.0.0.1/{n}/l.png", "right": f"http://127.0.0.1/{n}/r.png"} for n in range(tasks)]
        self.call(f"/api/projects/{self.project}/import", rows)

    def annotator(self) -> "Annotator":
        return Annotator(self, Connection(self.port))


@dataclass
class Annotator:
    """The next task, then its annotation."""

    studio: LabelStudio
    connection: Connection

    async def annotate(self, tally: Tally) -> None:
        following = await self.connection.ask("GET", f"/api/projects/{self.studio.project}/next", headers=JSON)
        if following.status != 200:
            tally.refused.append(f"{following.status}: {following.body[:200]!r}")
            return
        task = json.loads(following.body)["id"]
        choice = random.choice(("left", "right", "tie", "both_bad"))
        result = {"from_name": "choice", "to_name": "left", "type": "choices", "value": {"choices": [choice]}}
        body = json.dumps({"result": [result], "lead_time": 1.5}).encode()
        began = time.perf_counter()
        answer = await self.connection.ask("POST", f"/api/tasks/{task}/annotations/", body, JSON)
        tally.seconds.append(time.perf_counter() - began)
        if answer.status != 201:
            tally.refused.append(f"{answer.status}: {answer.body[:200]!r}")


def install() -> Path:
    """Its own environment, made once; the path of its command."""
    command = HOME / "bin" / "label-studio"
    if not command.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(HOME)], check=True)
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", str(HOME / "bin" / "python"), "label-studio"], check=True
        )
    return command


@contextmanager
def running() -> Iterator[LabelStudio]:
    command, folder, port = install(), Path(tempfile.mkdtemp(prefix="label-studio-")), free_port()
    account = ["--username", "a@example.org", "--password", "a-long-password", "--user-token", TOKEN]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}},
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
    }
    with (folder / "log").open("wb") as log:
        started = [str(command), "start", "--no-browser", "--port", str(port), "--data-dir", str(folder), *account]
        process = subprocess.Popen(started, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(process, port, folder / "log")
        yield LabelStudio(port)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10):
                return
        except (urllib.error.URLError, OSError):
            said = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"Label Studio ended:\n{said}"
            assert time.monotonic() < deadline, f"Label Studio did not start in time:\n{said}"
            time.sleep(0.5)
