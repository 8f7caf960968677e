"""Real Celery processes on the test database, with settings of their own."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from evalhub.celery import app
from evalhub.supervisor import Child
from metrics.engine.weights import Weights
from tests.systems import SOURCE

WEIGHTS = ("inception-2015-12-05", "lpips-alexnet")
CELERY = [sys.executable, "-m", "celery", "--app", "evalhub.celery", "--workdir", str(SOURCE)]


def real_weights(folder: Path) -> Path:
    """A new weights folder with what FID and LPIPS need, fetched once per checkout; no CLIP is in it."""
    fetched = Weights(os.environ.get("EVALHUB_TEST_WEIGHTS") or SOURCE / "var" / "weights")
    folder.mkdir()
    for name in WEIGHTS:
        (folder / f"{name}.safetensors").symlink_to(fetched.pull(name).resolve())
    return folder


@contextmanager
def worker(name: str = "tested", queues: str = "default,gpu", **environment: str) -> Iterator[Child]:
    """A worker with one child, as production runs it; stopped at the end if it is still alive.

    Other workers on the test run's Redis, the `worker` fixture's say, take no shards meanwhile.
    """
    options = ["--queues", queues, "--concurrency", "1", "--hostname", f"{name}@%h"]
    command = [*CELERY, "worker", *options, "--without-gossip", "--without-mingle", "-l", "INFO"]
    with no_other_worker(), _running(name, command, environment) as child:
        wait_for(lambda: " ready." in child.last_words(1000), child, seconds=90)
        yield child


@contextmanager
def no_other_worker() -> Iterator[None]:
    """Meanwhile no worker that is there already takes shards."""
    app.control.cancel_consumer("gpu", reply=True)
    try:
        yield
    finally:
        app.control.add_consumer("gpu", reply=True)


@contextmanager
def _running(name: str, command: list[str], environment: dict[str, str]) -> Iterator[Child]:
    database = settings.DATABASES["default"]["NAME"]  # the test database
    url = os.environ["DATABASE_URL"].replace("/evalhub?", f"/{database}?")
    log = settings.HOME / f"{name}-{time.monotonic_ns()}.log"
    child = Child(name, command, log, {**os.environ, "DATABASE_URL": url, **environment}, orphaned_with=signal.SIGQUIT)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def wait_for(happened: Callable[[], bool], child: Child, seconds: float = 120) -> None:
    """Poll until it is true; fails with the end of the child's log when it takes longer or the child died."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert child.alive, f"{child.name} {child.ending()}:\n{child.last_words(40)}"
        assert time.monotonic() < deadline, f"Not after {seconds} s; {child.name} says:\n{child.last_words(40)}"
        time.sleep(0.1)
