"""`make run` as its operator meets it: what it refuses, what it survives, and that it leaves nothing behind."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from evalhub import run
from evalhub.embedded import Postgres, free_port
from tests.systems import SOURCE, System, clean_environment, processes_of, running, spawn


@pytest.fixture
def folder() -> Iterator[Path]:
    """Somewhere for homes. Whatever a failing test leaves running there is ended."""
    one = Path(tempfile.mkdtemp(prefix="evalhub-run-"))
    one.chmod(0o711)
    yield one
    for pid in processes_of(one / "home"):
        os.kill(pid, signal.SIGKILL)
    Postgres(one / "home").remove_sockets()
    shutil.rmtree(one)


def refusal(system: System) -> str:
    """What a system that refuses to start says: one sentence, a non-zero exit, and no process left."""
    assert system.process.wait(60) == 1, system.printed()
    said = system.printed()
    assert said.startswith("evalhub | ")
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    assert system.processes() == {}
    return said


def until(holds: Callable[[], bool], what: str | Callable[[], str], seconds: float = 60) -> None:
    """Args: what: is wrong otherwise; asked when it is."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"After {seconds} s: {what if isinstance(what, str) else what()}"
        time.sleep(0.1)


def is_ready(system: System) -> bool:
    try:
        with urllib.request.urlopen(f"{system.url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def leaders(system: System) -> dict[str, int]:
    """The process of each child, by name: those that lead a session, less the supervisor."""
    signs = {
        "postgres": "/postgres -D",
        "redis": "redis-server",
        "web": "gunicorn",
        "worker-default": "--queues default",
        "worker-gpu": "--queues gpu",
        "beat": "celery --app evalhub.celery --workdir",
    }
    found: dict[str, int] = {}
    for pid, command in sorted(system.processes().items()):
        name = next((name for name, sign in signs.items() if sign in command), None)
        try:
            if name and os.getsid(pid) == pid:
                found.setdefault(name, pid)
        except ProcessLookupError:
            continue
    return found


# -- what it refuses ----------------------------------------------------------------------------------------------


def test_a_busy_port_is_refused_in_one_sentence(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(spawn(folder / "home", port))
    assert f"Port {port} is in use by another program; choose another" in said


@pytest.mark.parametrize("port", ["eighty", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused(folder: Path, port: str) -> None:
    said = refusal(spawn(folder / "home", 1, PORT=port))
    assert f"PORT must be a number from 1 to 65535 and is '{port}'." in said


@pytest.mark.parametrize("where", ["a file", "below a file", "a file system that takes no folders"])
def test_a_home_that_cannot_be_written_is_refused(folder: Path, where: str) -> None:
    (folder / "file").touch()
    home = {"a file": folder / "file", "below a file": folder / "file" / "home"}.get(where, Path("/sys/evalhub"))
    assert f"The home {home} cannot be written (" in refusal(spawn(home, free_port(), folder / "said"))


def test_a_home_in_use_is_refused_and_its_owner_named(live: System, tmp_path: Path) -> None:
    second = spawn(live.home, free_port(), tmp_path / "said")
    assert second.process.wait(60) == 1
    said = second.printed()
    assert said.count("\n") == 1
    assert f"is in use by another running EvalHub (process {live.process.pid}, {live.url})" in said
    until(lambda: is_ready(live), "/readyz does not answer")


def test_an_outside_database_that_does_not_answer_is_named(folder: Path) -> None:
    said = refusal(spawn(folder / "home", free_port(), DATABASE_URL=f"postgresql://a@127.0.0.1:{free_port()}/b"))
    assert "The database that DATABASE_URL names does not answer:" in said


def test_an_outside_database_of_another_kind_is_refused(folder: Path) -> None:
    said = refusal(spawn(folder / "home", free_port(), DATABASE_URL="mysql://a@127.0.0.1/b"))
    assert "DATABASE_URL must begin with postgresql://" in said


def test_make_without_a_python_says_what_it_needs(folder: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, folder)
    done = subprocess.run(
        ["make", "run", "PYTHON="], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "EvalHub needs Python 3.11 or newer and found none" in done.stderr


# -- what it survives ---------------------------------------------------------------------------------------------


def test_two_instances_run_side_by_side(live: System) -> None:
    live.manage("shell", "-c", "from django.core.cache import cache; cache.set('whose', 'the first')")
    with running() as second:
        until(lambda: is_ready(live), "/readyz does not answer")
        until(lambda: is_ready(second), "/readyz does not answer")
        databases = "from django.db import connection as c; k = c.cursor(); k.execute('SHOW data_directory'); "
        assert str(live.home) in live.manage("shell", "-c", databases + "print(k.fetchone()[0])")
        assert str(second.home) in second.manage("shell", "-c", databases + "print(k.fetchone()[0])")
        asked = "from django.core.cache import cache; print(cache.get('whose'))"
        assert "the first" in live.manage("shell", "-c", asked)
        assert "None" in second.manage("shell", "-c", asked)
    until(lambda: is_ready(live), "/readyz does not answer")


def is_another(system: System, name: str, pid: int) -> bool:
    """Whether the child of that name has another process than that."""
    return leaders(system).get(name, pid) != pid


def test_every_child_comes_back_after_kill_9(live: System) -> None:
    until(lambda: len(leaders(live)) == 6, "not all six children run")
    for name, pid in leaders(live).items():
        os.kill(pid, signal.SIGKILL)
        until(partial(is_another, live, name, pid), f"{name} has not come back")
        until(lambda: is_ready(live), f"/readyz does not answer after {name} was killed")
        assert f"{name} was killed by SIGKILL; starting it again" in live.printed()
    until(lambda: len(leaders(live)) == 6, "not all six children run")


def test_a_second_start_is_quick_and_keeps_all_and_every_way_to_stop_leaves_nothing(folder: Path) -> None:
    system = spawn(folder / "home", free_port())
    system.wait_until_ready()
    secret = (system.home / "secret-key").read_text()
    system.manage("shell", "-c", f"{USERS}.create_user(username='kept@x', password='p')")
    for name in ("secret-key", "environment", "lock"):
        assert (system.home / name).stat().st_mode & 0o077 == 0, name
    assert system.stop(signal.SIGINT) == 0
    assert system.processes() == {}
    assert not (system.home / "environment").exists()
    assert not Postgres(system.home).sockets.exists()

    system = again(system)
    assert "kept@x" in everyone(system)
    assert (system.home / "secret-key").read_text() == secret
    assert system.stop(signal.SIGTERM) == 0
    assert system.processes() == {}

    system = again(system)
    system.process.kill()
    until(lambda: system.processes() == {}, lambda: f"kill -9 of the supervisor left {system.processes()}")

    system = again(system)
    assert "kept@x" in everyone(system)
    assert system.stop(signal.SIGHUP) == 0
    assert system.processes() == {}


USERS = "from django.contrib.auth import get_user_model as model; model().objects"


def everyone(system: System) -> str:
    return system.manage("shell", "-c", f"{USERS.replace('; ', '; print(')}.values_list('username', flat=True))")


def again(system: System) -> System:
    """Start the same home once more; a start that found everything in place runs none of the first one's commands."""
    system.output.unlink()
    commands = [system.home / "logs" / name for name in ("migrate.log", "collectstatic.log")]
    before = [log.stat().st_mtime_ns for log in commands]
    second = spawn(system.home, system.port)
    second.wait_until_ready()
    assert [log.stat().st_mtime_ns for log in commands] == before
    return second


@pytest.mark.parametrize("after", [0.3, 1.5])
def test_stopping_in_the_middle_of_the_first_start_leaves_nothing_and_starts_again(folder: Path, after: float) -> None:
    system = spawn(folder / "home", free_port())
    time.sleep(after)
    assert system.stop(signal.SIGTERM) == (0 if "evalhub | stop" in system.printed() else -signal.SIGTERM)
    assert system.processes() == {}
    system = spawn(system.home, system.port)
    system.wait_until_ready()
    system.stop()


def test_control_c_in_the_terminal_of_make_run_leaves_nothing(folder: Path) -> None:
    """A real terminal: the Ctrl-C reaches make, its shell and the supervisor at once."""
    port = free_port()
    environment = {**clean_environment(), "EVALHUB_HOME": str(folder / "home"), "PORT": str(port), "EVALHUB_DEMO": "0"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(SOURCE)
        os.execvpe("make", ["make", "run"], environment)
    printed, pressed = b"", False
    with suppress(OSError):  # by which Linux reports that the other side has closed
        while True:
            printed += os.read(terminal, 4096)
            if b"Ctrl-C stops" in printed and not pressed:  # once: the terminal echoes it, and that is read here too
                pressed = os.write(terminal, b"\x03") > 0
    os.close(terminal)
    os.waitpid(pid, 0)
    assert b"evalhub | stopped" in printed, printed.decode()
    assert b"Traceback" not in printed
    assert processes_of(folder / "home") == {}


def test_commands_beside_it_look_where_the_operator_said(folder: Path) -> None:
    home, weights = folder / "home", folder / "weights elsewhere"
    home.mkdir()
    servers = {"DATABASE_URL": "postgresql:///nowhere", "REDIS_URL": "redis:///0"}
    running_system = run.System({"EVALHUB_HOME": str(home), "EVALHUB_WEIGHTS": str(weights), **servers})
    running_system.configure()
    running_system._tell_other_shells()
    told = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "shell",
            "-v0",
            "-c",
            "from django.conf import settings as s; print(s.WEIGHTS_FOLDER)",
        ],
        cwd=SOURCE,
        env={**clean_environment(), "EVALHUB_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert told.stdout.strip() == str(weights), told.stderr


def test_told_to_leave_no_compiled_code_beside_its_sources_it_keeps_it_in_its_home(folder: Path) -> None:
    """A web server that was killed would else compile everything before it answers again."""
    servers = {"DATABASE_URL": "postgresql:///nowhere", "REDIS_URL": "redis:///0"}
    system = run.System(
        {**servers, "EVALHUB_HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    )
    system.configure()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-v", "-c", "import evalhub.sheets"],
            cwd=SOURCE,
            env=system.environment,
            capture_output=True,
            text=True,
            check=True,
        )
    (kept,) = (folder / "run" / "compiled").rglob("sheets.*.pyc")
    assert f"matches {SOURCE / 'evalhub' / 'sheets.py'}" in done.stderr
    assert str(kept) in done.stderr
