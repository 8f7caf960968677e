"""The embedded servers: real ones, on any path, mended after kill -9, gone with their parent."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from evalhub import embedded
from evalhub.supervisor import Child, Supervisor


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that only its owner may enter, as homes below /root are."""
    folder = Path(tempfile.mkdtemp(prefix="evalhub-home-"))
    yield folder
    embedded.Postgres(folder).remove_sockets()
    shutil.rmtree(folder)


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    one = Supervisor(say=print)
    yield one
    one.stop()


def started(supervisor: Supervisor, server: embedded.Postgres | embedded.Redis, answers: Callable[[], None]) -> Child:
    child = server.prepare()
    supervisor.start(child)
    embedded.wait_until(answers, child)
    return child


def one_value(postgres: embedded.Postgres, statement: str) -> object:
    connection = psycopg2.connect(postgres.url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


@pytest.mark.parametrize("below", ["", "x" * 150, "space and ünïcode"], ids=["short", "long", "odd"])
def test_postgres_runs_in_any_home(home: Path, below: str, supervisor: Supervisor) -> None:
    (home / below).mkdir(exist_ok=True)
    postgres = embedded.Postgres(home / below)
    started(supervisor, postgres, postgres.ensure_database)
    assert str(one_value(postgres, "SHOW server_version")).startswith("18.")
    assert one_value(postgres, "SHOW listen_addresses") == ""
    assert one_value(postgres, "SHOW fsync") == "on"
    supervisor.stop()
    postgres.remove_sockets()
    assert not postgres.sockets.exists()


def test_postgres_runs_from_a_checkout_that_others_may_not_enter(home: Path, supervisor: Supervisor) -> None:
    """As root in /root: neither the programs nor the data can be reached by the account that PostgreSQL runs as."""
    postgres = embedded.Postgres(home)
    installed = postgres.programs.parent
    package = installed.parent
    shutil.copytree(installed, home / package.name / installed.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), home / f"{package.name}.libs")
    postgres.programs = home / package.name / installed.name / "bin"
    started(supervisor, postgres, postgres.ensure_database)
    assert one_value(postgres, "SHOW data_directory") == str(home / "postgres")
    assert home.stat().st_mode & 0o777 == 0o700


def test_postgres_keeps_committed_rows_through_kill_9(home: Path, supervisor: Supervisor) -> None:
    postgres = embedded.Postgres(home)
    child = started(supervisor, postgres, postgres.ensure_database)
    one_value(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    embedded.wait_until(lambda: _must_be_another(child, first, postgres.ensure_database), child, 20, supervisor.heal)
    assert one_value(postgres, "SELECT number FROM kept") == 7


def test_redis_keeps_its_keys_through_kill_9_and_wants_its_password(home: Path, supervisor: Supervisor) -> None:
    server = embedded.Redis(home)
    child = started(supervisor, server, server.ping)
    first = child.pid
    assert first is not None
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "7")
    os.kill(first, signal.SIGKILL)
    embedded.wait_until(lambda: _must_be_another(child, first, server.ping), child, 20, supervisor.heal)
    with redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"7"
    with redis.Redis(port=server.port) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
        stranger.get("kept")
    assert (server.data / "redis.conf").stat().st_mode & 0o777 == 0o600


def test_both_end_when_their_parent_is_killed(home: Path) -> None:
    """kill -9 of the parent: the kernel tells the servers, and the same home starts again."""
    program = (
        "import os, sys, pathlib\n"
        "from evalhub import embedded\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "postgres, redis = embedded.Postgres(home), embedded.Redis(home)\n"
        "for server, answers in ((postgres, postgres.ensure_database), (redis, redis.ping)):\n"
        "    child = server.prepare(); child.start(); embedded.wait_until(answers, child)\n"
        "    print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", program, str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    servers = [int(line) for line in parent.stdout.split()]
    assert len(servers) == 2
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in servers):
        assert time.monotonic() < deadline, "a server outlived its parent by ten seconds"
        time.sleep(0.05)


def test_a_cluster_of_another_version_is_refused_in_one_sentence(home: Path) -> None:
    postgres = embedded.Postgres(home)
    postgres.data.mkdir()
    (postgres.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(embedded.CannotStart, match="was made by PostgreSQL 17 and this is version 18"):
        postgres.prepare()


def test_a_server_that_cannot_run_says_why(home: Path) -> None:
    postgres = embedded.Postgres(home, {"shared_buffers": "nonsense"})
    child = postgres.prepare()
    child.start()
    with pytest.raises(embedded.CannotStart, match='invalid value for parameter "shared_buffers"'):
        embedded.wait_until(postgres.ensure_database, child)


def _must_be_another(child: Child, first: int, answers: Callable[[], None]) -> None:
    if child.pid == first:
        raise OSError("the killed server has not been started again")
    answers()


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
