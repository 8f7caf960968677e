"""A worker that outlived its supervisor ends, whatever it is doing.

The kernel's signal at the supervisor's death asks a Celery worker for a cold shutdown. On a busy machine, with the
broker gone at the same moment, that has been seen to take minutes. Nothing is lost by ending it hard: every task can
run again, and leases say when.
"""

import os
import signal
import threading
import time

SUPERVISED = "EVALHUB_SUPERVISED"
PATIENCE = 20.0


def end_with_parent(patience: float = PATIENCE) -> None:
    """From now on, kill this process's group `patience` seconds after the parent has gone.

    For a process that leads its own group, and whose parent has set SUPERVISED in its environment; others are left
    alone.
    """
    if SUPERVISED in os.environ and os.getpgrp() == os.getpid():
        threading.Thread(target=_watch, args=(os.getppid(), patience), name="parent", daemon=True).start()


def _watch(parent: int, patience: float) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(patience)
    os.killpg(os.getpgrp(), signal.SIGKILL)
