"""Every test run has a PostgreSQL and a Redis of its own: the real servers, in a folder that goes away with the run."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from evalhub import embedded
from evalhub.supervisor import Child
from tests.systems import SOURCE, System, running

_home = pytest.StashKey[Path]()
_servers = pytest.StashKey[list[Child]]()

# Nothing here has to outlive a crash of the machine, so tests do not wait for the disk.
IN_A_HURRY = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "60"}


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and point the settings at them, before pytest-django reads any setting."""
    home = Path(tempfile.mkdtemp(prefix="evalhub-tests-"))
    home.chmod(0o711)  # PostgreSQL, which is not root, has to pass through
    config.stash[_home] = home
    config.stash[_servers] = []
    postgres, redis_server = embedded.Postgres(home, IN_A_HURRY), embedded.Redis(home)
    config.add_cleanup(lambda: _stop(config, postgres))
    for child, answers in ((postgres.prepare(), postgres.ensure_database), (redis_server.prepare(), redis_server.ping)):
        child.start()
        config.stash[_servers].append(child)
        embedded.wait_until(answers, child)
    os.environ.update(
        DATABASE_URL=postgres.url,
        REDIS_URL=redis_server.url,
        EVALHUB_HOME=str(home),
        SECRET_KEY="only-for-tests-" + "x" * 50,
        DJANGO_SETTINGS_MODULE="evalhub.settings",
    )
    for name in ("DEBUG", "ALLOWED_HOSTS", "STORAGE_URL", "SITE_URL", "EVALHUB_WEIGHTS"):
        os.environ.pop(name, None)
    # pytest-django sets Django up at the end of this hook if its settings have been touched by then.
    from django.conf import settings

    assert settings.DATABASES["default"]["NAME"] == embedded.DATABASE


def _stop(config: pytest.Config, postgres: embedded.Postgres) -> None:
    for child in reversed(config.stash[_servers]):
        child.stop()
    postgres.remove_sockets()
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(scope="session")
def live() -> Iterator[System]:
    """A whole running system without the demo, for all tests of the session: `live.url`, `live.manage(...)`."""
    with running() as system:
        yield system


@pytest.fixture(scope="session")
def demo() -> Iterator[System]:
    """A whole running system with the demo study, for all tests of the session; its logins are in `home/logins`."""
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
