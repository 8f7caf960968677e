"""Whole running systems for end-to-end tests: `python -m evalhub.run` in a home and on a port of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evalhub.embedded import Postgres, free_port

SOURCE = Path(__file__).resolve().parent.parent
# What tests/conftest.py points at the servers of the test run; a system of its own must not inherit it.
SETTINGS_OF_THE_TEST_RUN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE", "EVALHUB_HOME", "PORT")


@dataclass
class System:
    """A system that was started; `output` is all that it has printed."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    output: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings under which `manage.py` sees this system's database."""
        return {**clean_environment(), "EVALHUB_HOME": str(self.home), "DJANGO_SETTINGS_MODULE": "evalhub.settings"}

    def manage(self, *arguments: str) -> str:
        """Run a `manage.py` command beside it and return what it printed."""
        command = [sys.executable, str(SOURCE / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def printed(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_until_ready(self, seconds: float = 480) -> None:
        deadline = time.monotonic() + seconds
        while "ready in" not in self.printed():
            assert self.process.poll() is None, f"The system ended before it was ready:\n{self.printed()}{self.logs()}"
            assert time.monotonic() < deadline, f"Not ready in {seconds} s:\n{self.printed()}{self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        files = sorted((self.home / "logs").glob("*.log"))
        return "".join(f"\n--- {file.name}\n{file.read_text(errors='replace')[-2000:]}" for file in files)

    def processes(self) -> dict[int, str]:
        return processes_of(self.home)

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 60) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SETTINGS_OF_THE_TEST_RUN}


def processes_of(home: Path) -> dict[int, str]:
    """Every living process of this home: id and command line.

    Python's processes are known by their environment; PostgreSQL and Redis write their titles over it and are known by
    the folder in which they work.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
            works_in = Path(os.readlink(folder / "cwd"))
            if not ended and (f"EVALHUB_HOME={home}".encode() in environment or works_in.is_relative_to(home)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is another user's
    return found


def spawn(home: Path, port: int, output: Path | None = None, /, **settings: str) -> System:
    """Start a system and return at once. What it prints goes to `output`, by default a file beside the home."""
    output = output or home.with_name(home.name + ".output")
    environment = {**clean_environment(), "EVALHUB_HOME": str(home), "PORT": str(port), "EVALHUB_DEMO": "0", **settings}
    with output.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "evalhub.run"],
            cwd=SOURCE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return System(process, home, port, output)


@contextmanager
def running(**settings: str) -> Iterator[System]:
    """A system in a new home, ready; stopped and removed afterwards. `settings` are environment variables."""
    folder = Path(tempfile.mkdtemp(prefix="evalhub-live-"))
    folder.chmod(0o711)
    system = spawn(folder / "home", free_port(), **settings)
    try:
        system.wait_until_ready()
        yield system
    finally:
        if system.process.poll() is None:
            system.stop()
        Postgres(system.home).remove_sockets()
        shutil.rmtree(folder, ignore_errors=True)
