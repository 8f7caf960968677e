"""A lease that is kept while the work goes on: one thread renews it and writes the progress, and says when to stop."""

import logging
import threading
import time
from types import TracebackType
from typing import Protocol, Self

from django.conf import settings
from django.db import DatabaseError, connection

log = logging.getLogger(__name__)

# How often progress is written, in seconds, if there is any.
PULSE = 1.0


class Renew(Protocol):
    """Says how far the work is, and gives whether the lease is still ours."""

    def __call__(self, *, done: int, stage: str) -> bool: ...


class Lease:
    """Use as a context around the work. `done` and `stage` say how far it is; `lost` says to stop."""

    def __init__(self, renew: Renew) -> None:
        self.done = 0
        self.stage = ""
        self._renew = renew
        self._length = settings.SHARD_LEASE.total_seconds()
        self._lost = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def lost(self) -> bool:
        return self._lost.is_set()

    def advance(self, done: int) -> None:
        self.done = done

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        written: tuple[int, str] | None = None
        renewed = time.monotonic()
        pulse = min(PULSE, self._length / 4)
        try:
            while not self._ended.wait(pulse):
                now, state = time.monotonic(), (self.done, self.stage)
                # A third of the lease leaves time for two renewals that do not get through.
                if state == written and now - renewed < self._length / 3:
                    continue
                if self._renewed(state):
                    written, renewed = state, now
                elif self._lost.is_set() or now - renewed > self._length:
                    self._lost.set()
                    return
        finally:
            connection.close()

    def _renewed(self, state: tuple[int, str]) -> bool:
        try:
            ours = self._renew(done=state[0], stage=state[1])
        except DatabaseError as error:
            # A database that restarts is back before the lease has run out.
            log.warning("The lease could not be renewed (%s); trying again.", error)
            connection.close()
            return False
        if not ours:
            self._lost.set()
        return ours
