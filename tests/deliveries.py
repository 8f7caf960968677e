"""A delivery under attack: the real command against a real site, with the server and the command killed on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.systems import System, clean_environment

COMMAND = (sys.executable, "-m", "evalhub.client.command", "submit")
_STUDY = """
import json, sys
from evalhub.studies import services
from evalhub.studies.models import Prompt, User
ben, _ = User.objects.get_or_create(username="carrier")
study = services.create_study(slug="{slug}", name="{slug}", actor=ben)
rows = [Prompt(study=study, key=f"p{{n:04}}", text="A photograph", position=n) for n in range({prompts})]
Prompt.objects.bulk_create(rows)
print(json.dumps([str(study.pk), services.create_token(user=ben, name="tests", scope="submit")[1]]))
"""
_ARRIVED = """
import json
from django.core.files.storage import default_storage
from evalhub.studies.models import Checkpoint
found = []
for checkpoint in Checkpoint.objects.filter(study__slug="{slug}"):
    for sample in checkpoint.samples.select_related("media", "prompt"):
        found.append([sample.prompt.key, sample.seed, sample.media.sha256, default_storage.size(sample.media.path)])
print(json.dumps(found))
"""


@dataclass
class Delivery:
    """One folder of outputs on its way to one study."""

    system: System
    slug: str
    token: str
    folder: Path
    media: Path

    @classmethod
    def prepare(cls, system: System, slug: str, prompts: int, folder: Path) -> "Delivery":
        """A new study with prompts `p0000`, `p0001`, …"""
        program = _STUDY.format(slug=slug, prompts=prompts)
        study, token = json.loads(system.manage("shell", "-v", "0", "-c", program).splitlines()[-1])
        return cls(system, slug, token, folder, system.home / "media" / "studies" / study / "media")

    def start(self, *more: str) -> subprocess.Popen[str]:
        site = {"EVALHUB_URL": self.system.url, "EVALHUB_TOKEN": self.token}
        return subprocess.Popen(
            [*COMMAND, "--study", self.slug, "--checkpoint", "flow", *more, str(self.folder)],
            env={**clean_environment(), **site},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stored(self) -> int:
        """How many files lie in the study's storage."""
        return sum(len(os.listdir(shelf)) for shelf in self.media.iterdir()) if self.media.exists() else 0

    def arrived(self) -> list[tuple[str, int, str, int]]:
        """Prompt, seed, hash and stored size of every sample."""
        answer = self.system.manage("shell", "-v", "0", "-c", _ARRIVED.format(slug=self.slug))
        return [tuple(row) for row in json.loads(answer.splitlines()[-1])]

    def deliver(self, *, kill_server_at: Sequence[int] = (), kill_client_at: Sequence[int] = ()) -> str:
        """Run the command to its end, over and over if it is killed; what its last run printed.

        Args: kill_…_at: numbers of stored files at which gunicorn, or the command, gets a kill -9.
        """
        plan = sorted([(count, "server") for count in kill_server_at] + [(count, "client") for count in kill_client_at])
        while True:
            process = self.start()
            killer = threading.Thread(target=self._kill, args=(process, plan))
            killer.start()
            printed, _ = process.communicate()
            killer.join()
            if process.returncode != -signal.SIGKILL:
                assert not plan, f"The delivery ended before {plan}:\n{printed}"
                assert process.returncode == 0, printed
                return printed

    def _kill(self, process: subprocess.Popen[str], plan: list[tuple[int, str]]) -> None:
        while plan and process.poll() is None:
            if self.stored() < plan[0][0]:
                time.sleep(0.1)
                continue
            _, whom = plan.pop(0)
            if whom == "client":
                process.kill()
                return
            for pid in self.pids("gunicorn"):
                os.kill(pid, signal.SIGKILL)

    def pids(self, word: str) -> list[int]:
        return [pid for pid, command in self.system.processes().items() if word in command]


@contextmanager
def workers_held(system: System) -> Iterator[None]:
    """While this lasts no worker computes, and what is measured has the machine to itself."""
    pids = [pid for pid, command in system.processes().items() if "celery" in command]
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def arranged(files: Sequence[Path], folder: Path, prompts: int, move: Callable[[Path, Path], object] = os.link) -> None:
    """Lay files out as `<prompt key>/<seed>.png`, so many prompts."""
    for number, file in enumerate(files):
        seed, prompt = divmod(number, prompts)
        target = folder / f"p{prompt:04}" / f"{seed}{file.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        move(file, target)
