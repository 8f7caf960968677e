"""`python -m evalhub.run`: the whole system on one machine, which is what `make run` starts.

Environment: PORT (8000) and BIND (127.0.0.1) say where, EVALHUB_HOME (var/) holds all state, DATABASE_URL and REDIS_URL
name servers that run elsewhere instead of the embedded ones, EVALHUB_DEMO=0 leaves the demo study out.
"""

import contextlib
import errno
import fcntl
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psycopg2
import redis

from evalhub.embedded import CannotStart, Postgres, Redis, wait_until
from evalhub.programs import SOURCE, programs
from evalhub.supervisor import Child, Supervisor
from evalhub.translations import compile_catalogues

STARTUP_SECONDS = 120.0


class Stopped(Exception):
    """Somebody asked the system to stop."""


def say(line: str) -> None:
    print(f"evalhub | {line}", flush=True)


class System:
    """One home, its servers and its programs, from start to stop."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.port = _port(environment.get("PORT", "8000"))
        self.bind = environment.get("BIND", "127.0.0.1")
        self.home = Path(environment.get("EVALHUB_HOME") or SOURCE / "var").resolve()
        self.environment = dict(environment)
        self.supervisor = Supervisor(say)
        self.postgres: Postgres | None = None
        self.asked_to_stop = False

    def run(self) -> None:
        """Start everything, serve until asked to stop, stop everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        with _owned(self.home, f"http://{self.bind}:{self.port}"):
            check_port(self.bind, self.port)
            try:
                self.start()
                while True:
                    self.wait(0.05)  # so soon a child's death is seen
            except Stopped:
                say("stopping")
            finally:
                self.stop()
        say("stopped")

    def start(self) -> None:
        self.configure()
        self.start_servers()
        self.prepare_site()
        web, *others = programs(self.environment, self.home, self.bind, self.port)
        self.supervisor.start(web)
        self.wait_until_ready(web)
        for child in others:  # after, so that on a small machine they do not delay the first page
            self.supervisor.start(child)
        self.introduce()

    def configure(self) -> None:
        """Give every setting that the operator left open its value for this home."""
        mark = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
        for name, value in {
            "EVALHUB_HOME": str(self.home),
            "SECRET_KEY": _kept_secret(self.home / "secret-key"),
            "SITE_URL": f"http://127.0.0.1:{self.port}",
            # A browser keeps cookies by host, not by port: two instances side by side must not share them.
            "SESSION_COOKIE_NAME": f"evalhub_session_{mark}",
            "CSRF_COOKIE_NAME": f"evalhub_csrf_{mark}",
            "PYTHONUNBUFFERED": "1",
        }.items():
            if not self.environment.get(name):
                self.environment[name] = value
        # Where Python is to leave no compiled code beside its sources, every start would compile all of them, and a web
        # server that was killed would be away for seconds longer: the home keeps it then.
        if self.environment.pop("PYTHONDONTWRITEBYTECODE", ""):
            self.environment.setdefault("PYTHONPYCACHEPREFIX", str(self.home / "run" / "compiled"))

    def start_servers(self) -> None:
        """Start the embedded servers, or ask the operator's own whether they answer."""
        if self.environment.get("DATABASE_URL"):
            _check_database(self.environment["DATABASE_URL"])
        else:
            self.postgres = Postgres(self.home)
            if not self.postgres.data.exists():  # what was done to a database that is gone has to be done again
                shutil.rmtree(self.home / "run", ignore_errors=True)
            self.environment["DATABASE_URL"] = self.postgres.url
            self._start_server(self.postgres)
        if self.environment.get("REDIS_URL"):
            _check_redis(self.environment["REDIS_URL"])
        else:
            redis_server = Redis(self.home)
            self.environment["REDIS_URL"] = redis_server.url
            self._start_server(redis_server)
        self._tell_other_shells()

    def _start_server(self, server: Postgres | Redis) -> None:
        child = server.prepare()
        self.supervisor.start(child)
        answers = server.ensure_database if isinstance(server, Postgres) else server.ping
        # A server of the last run may still be on its way out: starting again is the way in.
        wait_until(answers, child, 30, alive=lambda: self._heal_startup(child))

    def _tell_other_shells(self) -> None:
        """Write the settings that `manage.py` reads when it is used beside the running system."""
        # Those that say where things are: a command that looked elsewhere would find nothing, or import to nowhere.
        names = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SITE_URL", "STORAGE_URL", "EVALHUB_WEIGHTS", "EMAIL_URL")
        told = {name: self.environment[name] for name in names if self.environment.get(name)}
        file = self.home / "environment"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}='{value}'\n" for name, value in told.items()))

    def prepare_site(self) -> None:
        """Compile translations, migrate, collect the static files when they have changed, load the demo into a new
        embedded database."""
        compile_catalogues()
        self._unless_unchanged("migrate", "--no-input", files=_migrations(), certain=self.postgres is not None)
        self._unless_unchanged("collectstatic", "--no-input", "--clear", files=_static_files())
        wanted = self.environment.get("EVALHUB_DEMO", "1") != "0"
        loaded = self.home / "run" / "load_demo.done"
        if self.postgres is not None and wanted and not loaded.exists():
            say("loading the demo study (at the first start only)")
            self.manage("load_demo", aloud=True)
            loaded.touch()

    def _unless_unchanged(self, command: str, *arguments: str, files: list[Path], certain: bool = True) -> None:
        """Run a command unless it has been run in this home from just these files: a second start is quick.

        Not `certain`: its result lies elsewhere (another's database), so it runs each time.
        """
        state = _state_of([SOURCE / "requirements.txt", SOURCE / "evalhub" / "settings.py", *files])
        stamp = self.home / "run" / f"{command}.done"
        if certain and stamp.exists() and stamp.read_text() == state:
            return
        self.manage(command, *arguments)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(state)

    def manage(self, command: str, *arguments: str, aloud: bool = False) -> None:
        """Run one of Django's commands to its end. `aloud` repeats here what it prints."""
        log = self.home / "logs" / f"{command}.log"
        child = Child(command, [sys.executable, str(SOURCE / "manage.py"), command, *arguments], log, self.environment)
        seen = log.stat().st_size if log.exists() else 0
        child.start()
        try:
            while child.alive:
                self.wait(0.05)
                seen = _repeat(log, seen) if aloud else seen
        finally:
            child.stop()
        if aloud:
            _repeat(log, seen)
        if child.ending() != "ended with status 0":
            raise CannotStart(f"`manage.py {command}` {child.ending()}; the end of {log}:\n{child.last_words()}")

    def wait_until_ready(self, web: Child) -> None:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)
        site = urlsplit(self.environment["SITE_URL"]).netloc
        wait_until(lambda: _ask_readiness(host, self.port, site), web, STARTUP_SECONDS, lambda: self._heal_startup(web))

    def introduce(self) -> None:
        say(f"ready in {time.monotonic() - self.began:.1f} s: {self.environment['SITE_URL']}")
        logins = self.home / "demo-logins.json"
        if logins.exists():
            for name, password in json.loads(logins.read_text()).items():
                say(f"  {name:<12}{password}")
        say(f"state and logs are in {self.home}; Ctrl-C stops everything")

    def wait(self, seconds: float) -> None:
        """Let time pass, bringing dead children back. Stopped when somebody asked for it."""
        time.sleep(seconds)
        if self.asked_to_stop:
            raise Stopped
        self.supervisor.heal()

    def _heal_startup(self, child: Child) -> None:
        self.wait(0)
        if self.supervisor.deaths(child) >= 6:
            raise CannotStart(
                f"{child.name} {child.ending()} again and again; the end of {child.log}:\n{child.last_words()}"
            )

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.asked_to_stop = True

    def stop(self) -> None:
        self.supervisor.stop()
        (self.home / "environment").unlink(missing_ok=True)
        if self.postgres is not None:
            self.postgres.remove_sockets()


def check_port(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} is in use by another program; choose another, for example `make run PORT={port + 1}`."
                ) from error
            raise CannotStart(f"{bind}:{port} cannot be served ({error.strerror}); set PORT and BIND.") from error


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise CannotStart(f"PORT must be a number from 1 to 65535 and is {text!r}.")
    return int(text)


@contextlib.contextmanager
def _owned(home: Path, address: str) -> Iterator[None]:
    """Make the home and hold it while this runs; CannotStart when it cannot be written or is another's."""
    try:
        if not home.exists():
            home.mkdir(parents=True)
            if os.geteuid() == 0:
                home.chmod(0o711)  # PostgreSQL, which is not root, has to pass through; what it holds is closed
        lock = (home / "lock").open("a+")
    except OSError as error:
        raise CannotStart(
            f"The home {home} cannot be written ({error.strerror}); choose another, "
            "for example `make run EVALHUB_HOME=$HOME/evalhub`."
        ) from error
    with lock:
        _lock(lock, home)
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {address}")
        lock.flush()
        yield


def _lock(lock: IO[str], home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise CannotStart(
            f"The home {home} is in use by another running EvalHub ({lock.read()}); stop that one or choose "
            "another home with EVALHUB_HOME."
        ) from error


def _kept_secret(file: Path) -> str:
    """The secret in `file`, made at the first start and readable by its owner alone."""
    if not file.exists():
        unfinished = file.with_name(file.name + ".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_urlsafe(50))
        unfinished.replace(file)
    return file.read_text().strip()


def _check_database(url: str) -> None:
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        raise CannotStart("DATABASE_URL must begin with postgresql:// (EvalHub runs on PostgreSQL only).")
    try:
        psycopg2.connect(url, connect_timeout=5).close()
    except psycopg2.Error as error:
        raise CannotStart(
            f"The database that DATABASE_URL names does not answer: {' '.join(str(error).split())}"
        ) from error


def _check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.exceptions.RedisError, ValueError) as error:
        raise CannotStart(f"The Redis that REDIS_URL names does not answer: {error}") from error


def _migrations() -> list[Path]:
    return [file for app in ("evalhub", "raters", "metrics") for file in (SOURCE / app).rglob("migrations/*.py")]


def _static_files() -> list[Path]:
    packages = SOURCE / "node_modules" / ".package-lock.json"
    if not packages.exists():
        raise CannotStart("The front-end packages are not installed (node_modules is missing); start with `make run`.")
    return [packages, *(file for file in (SOURCE / "static").rglob("*") if file.is_file())]


def _state_of(files: list[Path]) -> str:
    """A digest that changes with these files' names, sizes and times, and with the Python that reads them."""
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files)]
    return hashlib.sha256(json.dumps([sys.version, stats]).encode()).hexdigest()


def _repeat(log: Path, seen: int) -> int:
    """Print the whole lines that `log` has gained since byte `seen`, and say how far it got."""
    with log.open("rb") as file:
        file.seek(seen)
        new = file.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        say(f"  {line}")
    return seen + len(whole)


def _ask_readiness(host: str, port: int, site: str) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": site})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"/readyz says {answer.status}: {answer.read(500).decode(errors='replace')}")
    except http.client.HTTPException as error:
        raise OSError(f"/readyz answers nonsense: {error!r}") from error
    finally:
        connection.close()


def main() -> int:
    os.umask(0o077)  # everything in a home is its owner's alone
    try:
        System(dict(os.environ)).run()
    except (CannotStart, OSError) as error:
        print(f"evalhub | {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
