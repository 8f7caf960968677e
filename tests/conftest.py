"""Every test run has a PostgreSQL and a Redis of its own: the real servers, in a folder that goes away with the run."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
import redis

from evalhub import embedded
from evalhub.supervisor import Child
from tests.systems import SOURCE, System, running

# Nothing here has to outlive a crash of the machine, so tests do not wait for the disk.
IN_A_HURRY = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "60"}

home = Path(tempfile.mkdtemp(prefix="evalhub-tests-"))
home.chmod(0o711)  # PostgreSQL, which is not root, has to pass through
postgres, redis_server = embedded.Postgres(home, IN_A_HURRY), embedded.Redis(home)
children: list[Child] = []


def start_servers() -> None:
    for server, answers in ((postgres, postgres.ensure_database), (redis_server, redis_server.ping)):
        child = server.prepare()
        child.start()
        children.append(child)
        embedded.wait_until(answers, child)


def stop_servers() -> None:
    for child in reversed(children):
        child.stop()
    postgres.remove_sockets()
    shutil.rmtree(home, ignore_errors=True)


def set_django_up() -> None:
    os.environ.update(
        DATABASE_URL=postgres.url,
        REDIS_URL=redis_server.url,
        EVALHUB_HOME=str(home),
        SECRET_KEY="only-for-tests-" + "x" * 50,
        DJANGO_SETTINGS_MODULE="evalhub.settings",
    )
    for name in ("DEBUG", "ALLOWED_HOSTS", "STORAGE_URL", "SITE_URL", "EVALHUB_WEIGHTS"):
        os.environ.pop(name, None)
    from django.conf import settings

    # Pages are tested without collecting their files first; the whole system under tests/browser does collect them.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STATIC_ROOT.mkdir()
    # A good password hash is slow on purpose, and tests make hundreds of users.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    django.setup()


# On import, not in a hook: the conftest files of the folders below import models, and pytest reads those of the folders
# named on its command line before it calls any hook of this one.
start_servers()
set_django_up()


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(stop_servers)


@pytest.fixture(scope="session")
def live() -> Iterator[System]:
    """A whole running system without the demo, for all tests of the session: `live.url`, `live.manage(...)`."""
    with running() as system:
        yield system


@pytest.fixture(scope="session")
def demo() -> Iterator[System]:
    """A whole running system with the demo study, for all tests of the session; its logins are in `home/demo-logins.json`."""
    with running(EVALHUB_DEMO="1") as system:
        yield system


@pytest.fixture(scope="session")
def _worker(django_db_setup: None) -> Iterator[Child]:
    from django.conf import settings

    database = settings.DATABASES["default"]["NAME"]  # by now the test database
    environment = {**os.environ, "DATABASE_URL": os.environ["DATABASE_URL"].replace("/evalhub?", f"/{database}?")}
    celery = [sys.executable, "-m", "celery", "--app", "evalhub.celery", "--workdir", str(SOURCE), "worker"]
    options = ["--queues", "default,gpu", "--concurrency", "1", "--without-gossip", "--without-mingle", "-l", "INFO"]
    child = Child(
        "worker", [*celery, *options], settings.HOME / "worker.log", environment, orphaned_with=signal.SIGQUIT
    )
    child.start()
    try:
        _wait_until_it_consumes(child)
        yield child
    finally:
        child.stop()


def _wait_until_it_consumes(child: Child) -> None:
    deadline = time.monotonic() + 90
    while not (child.log.exists() and " ready." in child.log.read_text(errors="replace")):
        assert child.alive, f"The worker {child.ending()}:\n{child.last_words(30)}"
        assert time.monotonic() < deadline, f"The worker is not ready:\n{child.last_words(30)}"
        time.sleep(0.1)


@pytest.fixture
def worker(_worker: Child, transactional_db: None) -> Child:
    """A real Celery worker process on the test database, both queues; `worker.last_words(50)` shows its log.

    What an earlier test left in the queues is dropped. A test waits for its own tasks to end before it returns.
    """
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        for queue in ("default", "gpu"):
            client.delete(queue)
    return _worker
