"""Every test run has a PostgreSQL and a Redis of its own: the real servers, in a folder that goes away with the run."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from evalhub import embedded
from evalhub.supervisor import Child

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
    postgres, redis = embedded.Postgres(home, IN_A_HURRY), embedded.Redis(home)
    config.add_cleanup(lambda: _stop(config, postgres))
    for server, answers in ((postgres, postgres.ensure_database), (redis, redis.ping)):
        child = server.prepare()
        child.start()
        config.stash[_servers].append(child)
        embedded.wait_until(answers, child)
    os.environ.update(
        DATABASE_URL=postgres.url,
        REDIS_URL=redis.url,
        EVALHUB_HOME=str(home),
        SECRET_KEY="only-for-tests-" + "x" * 50,
        DJANGO_SETTINGS_MODULE="evalhub.settings",
    )
    for name in ("DEBUG", "ALLOWED_HOSTS", "STORAGE_URL", "SITE_URL"):
        os.environ.pop(name, None)
    # pytest-django sets Django up at the end of this hook if its settings have been touched by then.
    from django.conf import settings

    assert settings.DATABASES["default"]["NAME"] == embedded.DATABASE


def _stop(config: pytest.Config, postgres: embedded.Postgres) -> None:
    for child in reversed(config.stash[_servers]):
        child.stop()
    postgres.remove_sockets()
    shutil.rmtree(config.stash[_home], ignore_errors=True)
