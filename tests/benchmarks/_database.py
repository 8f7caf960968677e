"""A site for benchmarks: a PostgreSQL and a Redis of their own, Django set up on them. Call `start()` before importing
anything that knows models; the second benchmark of a run gets what the first one started."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from evalhub import embedded

# Filling a million rows need not outlive a crash. What is measured is reading, and that as a small production does it.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "512MB", "max_wal_size": "8GB", "jit": "off"}


def start() -> None:
    """Set Django up on a database of this process, migrated and empty; nothing happens where it is set up already."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        return
    home = Path(tempfile.mkdtemp(prefix="evalhub-bench-"))
    home.chmod(0o711)  # PostgreSQL, which is not root, has to pass through
    postgres, redis = embedded.Postgres(home, SETTINGS), embedded.Redis(home)
    for server, answers in ((postgres, postgres.ensure_database), (redis, redis.ping)):
        child = server.prepare()
        child.start()
        atexit.register(child.stop)
        embedded.wait_until(answers, child)
    atexit.register(_leave, postgres, home)
    os.environ.update(
        DATABASE_URL=postgres.url,
        REDIS_URL=redis.url,
        EVALHUB_HOME=str(home),
        SECRET_KEY="only-for-benchmarks-" + "x" * 50,
        DJANGO_SETTINGS_MODULE="evalhub.settings",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def _leave(postgres: embedded.Postgres, home: Path) -> None:
    from django.db import connections

    connections.close_all()
    postgres.remove_sockets()
    shutil.rmtree(home, ignore_errors=True)
