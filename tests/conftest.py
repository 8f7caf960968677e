"""Every test run has a PostgreSQL and a Redis of its own: the real servers, in a folder that goes away with the run."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import pytest

from evalhub import embedded
from evalhub.supervisor import Child
from evalhub.translations import compile_catalogues
from tests.systems import System, running

# Nothing here has to outlive a crash of the machine, so tests do not wait for the disk.
IN_A_HURRY = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "60"}

# A shell that starts the run in the background has it ignore these, and so every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

home = Path(tempfile.mkdtemp(prefix="evalhub-tests-"))
home.chmod(0o711)  # PostgreSQL, which is not root, has to pass through
postgres, redis_server = embedded.Postgres(home, IN_A_HURRY), embedded.Redis(home)
children: list[Child] = []
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Tests start some hundred programs, each of which would compile two thousand modules again.
    os.environ["PYTHONPYCACHEPREFIX"] = str(home / "compiled")
SETTINGS = {
    "DATABASE_URL": postgres.url,
    "REDIS_URL": redis_server.url,
    "EVALHUB_HOME": str(home),
    "SECRET_KEY": "only-for-tests-" + "x" * 50,
    "DJANGO_SETTINGS_MODULE": "evalhub.settings",
}


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
    os.environ.update(SETTINGS)
    for name in ("DEBUG", "ALLOWED_HOSTS", "STORAGE_URL", "SITE_URL", "EVALHUB_WEIGHTS"):
        os.environ.pop(name, None)
    compile_catalogues()
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """The processes that this one shares the tests out to begin as it began, and have servers of their own."""
    for name in SETTINGS:
        os.environ.pop(name)


@pytest.fixture(autouse=True)
def _in_english() -> None:
    """A request in another language leaves the thread in it."""
    from django.utils import translation

    translation.activate("en")


@pytest.fixture(scope="session")
def live() -> Iterator[System]:
    """A whole running system without the demo, for all tests of the session: `live.url`, `live.manage(...)`.

    One with the demo is `tests.systems.running(EVALHUB_DEMO="1")`; a Celery worker on the test database is
    `tests.workers.worker()`.
    """
    with running() as system:
        yield system
