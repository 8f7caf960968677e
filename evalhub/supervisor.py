"""Child processes that start in order, come back when they die, and leave nothing behind when the parent goes.

Every child leads its own session, so a Ctrl-C in the terminal reaches the supervisor alone, which then stops them in
order. On Linux the kernel also signals a child when the supervisor dies without a word (kill -9). The kernel ties that
signal to the thread that started the child: start children from the main thread.
"""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
LOG_LIMIT = 16 * 2**20

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """Whom a child runs as, when the supervisor is root and the program refuses to be.

    `enters_all` keeps the one right to enter folders that are closed to others (a checkout in /root, say).
    """

    uid: int
    gid: int
    enters_all: bool = False

    @classmethod
    def named(cls, name: str) -> "Account":
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid)

    def become(self) -> None:
        """Change this process into that account, for good. OSError when the kernel does not grant the extra right."""
        if self.enters_all:
            # Rights outlast the change of user, and access(2), by which initdb looks for its programs, honours them.
            _must(_libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if self.enters_all:
            self._keep_entering()

    def _keep_entering(self) -> None:
        # Version 3 of capset takes two words each of effective, permitted and inheritable bits.
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        bits = 1 << CAP_DAC_OVERRIDE
        _must(_libc.capset(header, (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)))
        _must(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0))


def _must(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass
class Child:
    """One program: its command line, where its output goes, and the signals that stop it.

    `stop_with` asks for a clean stop; after `patience` seconds `stop_harder` follows, then SIGKILL for its whole
    session. `orphaned_with` is what it gets when the supervisor was killed.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str] | None = None
    account: Account | None = None
    stop_with: signal.Signals = signal.SIGTERM
    stop_harder: signal.Signals = signal.SIGKILL
    orphaned_with: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    # A server that the others need is stopped after all of them.
    outlives_others: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def start(self) -> None:
        parent = os.getpid()
        self._asked = False

        def before_exec() -> None:
            # A shell that starts the supervisor in the background has it ignore these, and all that it starts.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            if self.account is not None:
                self.account.become()
            if sys.platform == "linux":
                _libc.prctl(PR_SET_PDEATHSIG, int(self.orphaned_with), 0, 0, 0)
                if os.getppid() != parent:  # it died before the line above
                    os._exit(1)

        with self._open_log() as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                preexec_fn=before_exec,  # the supervisor has one thread, so forking into Python is safe
            )

    def _open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        return self.log.open("ab")

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ending(self) -> str:
        """How it ended, for a message: `was killed by SIGKILL`, `ended with status 3`."""
        code = self.process.poll() if self.process else None
        if code is None:
            return "has not ended"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def last_words(self, lines: int = 5) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def ask_to_stop(self) -> None:
        """Ask once: some programs take a second request for a command to drop everything."""
        if self.process is not None and not self._asked:
            self.process.send_signal(self.stop_with)  # does nothing when it has ended
            self._asked = True

    def stop(self) -> None:
        """Stop it and whatever it started. Returns when all of it is gone."""
        if self.process is None:
            return
        self.ask_to_stop()
        if not self._ends_within(self.patience):
            self.process.send_signal(self.stop_harder)
            self._ends_within(5.0)
        self.end_session()
        self.process.wait()

    def _ends_within(self, seconds: float) -> bool:
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return True
        return False

    def end_session(self) -> None:
        """Kill what is left of its session: what it had started outlives it when it was killed."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class _Watch:
    child: Child
    started: float
    pause: float = 0.0  # before its next start
    due: float | None = None
    deaths: int = 0


@dataclass
class Supervisor:
    """Starts children, brings the dead back, stops all in the reverse order of their start.

    A child that dies is started again at once; if it keeps dying, after a pause that doubles up to `longest_pause`
    seconds. Ten seconds of life reset the pause.
    """

    say: Callable[[str], None]
    longest_pause: float = 30.0
    _watches: list[_Watch] = field(default_factory=list, init=False)

    @property
    def children(self) -> list[Child]:
        return [watch.child for watch in self._watches]

    def start(self, child: Child) -> None:
        child.start()
        self._watches.append(_Watch(child, time.monotonic()))

    def heal(self) -> None:
        """Start again whatever has died since the last call. Call it often."""
        now = time.monotonic()
        for watch in self._watches:
            if watch.child.alive:
                continue
            if watch.due is None:
                watch.child.end_session()
                watch.deaths += 1
                pause = 0.0 if now - watch.started > 10 else watch.pause
                watch.due, watch.pause = now + pause, min(max(0.25, pause * 2), self.longest_pause)
                self.say(f"{watch.child.name} {watch.child.ending()}; starting it again (log: {watch.child.log})")
            if now >= watch.due:
                watch.child.start()
                watch.started, watch.due = now, None

    def deaths(self, child: Child) -> int:
        """How often the child has died by itself."""
        return next(watch.deaths for watch in self._watches if watch.child is child)

    def stop(self) -> None:
        """Stop everything: first, at once, all that needs a server, then the servers."""
        children = self.children[::-1]
        for child in children:
            if not child.outlives_others:
                child.ask_to_stop()
        for child in sorted(children, key=lambda child: child.outlives_others):
            child.stop()
        self._watches.clear()
