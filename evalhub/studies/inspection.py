"""What a file really is, found out by a process that may fall over instead of this one."""

import base64
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import PIL
from django.conf import settings

import evalhub

_PROGRAM = "import sys; sys.path += sys.argv[1:]; from evalhub.studies.decoding.process import main; main()"
_PACKAGES = [str(Path(evalhub.__file__).parent.parent), str(Path(PIL.__file__).parent.parent)]
AHEAD = 4  # files that wait for the decoder of `inspect_each`, so that it never waits for one

Thing = TypeVar("Thing")


class Undecodable(Exception):
    """Why a file is not taken: a phrase that follows its name in a sentence."""


@dataclass(frozen=True)
class Facts:
    """What was read from a file's bytes. Sizes in pixels as shown, duration in seconds."""

    kind: str
    format: str
    width: int
    height: int
    frames: int = 1
    duration: float | None = None
    fps: float | None = None
    codec: str = ""


def inspect(path: Path, kinds: Sequence[str] = ("image",)) -> Facts:
    """Sniff and decode the file in a child process under the limits of the settings.

    Args: kinds: which of "image" and "video" are taken here.

    Raises: Undecodable when the file is not fit; RuntimeError when no decoder runs, whatever the file.
    """
    with closing(_Asking()) as asking:
        asking.ask(_looked_into(path, kinds))
        return _facts(asking.answer())


def inspect_each(
    files: Iterable[tuple[Thing, Path]], kinds: Sequence[str] = ("image",)
) -> Generator[tuple[Thing, Facts | Undecodable], None, None]:
    """Many files, each as by `inspect` and in order, while the next ones are on their way.

    Args: files: each with whatever it is called by; one is taken while AHEAD at most of those before are undecided, and
        has to stay where it is until it is answered for.
    Raises: RuntimeError when no decoder runs, whatever the file.
    """
    waiting: deque[Thing] = deque()
    with closing(_Asking()) as asking:
        for thing, path in files:
            asking.ask(_looked_into(path, kinds))
            waiting.append(thing)
            if len(waiting) > AHEAD:
                yield waiting.popleft(), _judged(asking.answer())
        while waiting:
            yield waiting.popleft(), _judged(asking.answer())


def poster(path: Path, edge: int) -> bytes:
    """A frame of a video that was taken before, as a WebP file, under the limits for pictures.

    Args: edge: the most pixels on its longer side.
    Raises: Undecodable when no frame can be had; RuntimeError when no decoder runs.
    """
    question = _question(path, ["video"], {"video": settings.DECODE_SECONDS})
    with closing(_Asking()) as asking:
        asking.ask(question | {"poster": edge})
        return base64.b64decode(_found(asking.answer())["poster"])


def _looked_into(path: Path, kinds: Sequence[str]) -> dict[str, Any]:
    return _question(path, list(kinds), {"image": settings.DECODE_SECONDS, "video": settings.DECODE_VIDEO_SECONDS})


def _question(path: Path, kinds: list[str], seconds: dict[str, int]) -> dict[str, Any]:
    return {
        "path": str(path),
        "kinds": kinds,
        "seconds": seconds,
        "memory": settings.DECODE_MEMORY_BYTES,
        "side": {"image": settings.MAX_IMAGE_SIDE, "video": settings.MAX_VIDEO_SIDE},
        "frames": settings.MAX_VIDEO_FRAMES,
    }


def _found(answer: dict[str, Any]) -> dict[str, Any]:
    if "problem" in answer:
        raise Undecodable(answer["problem"])
    return answer


def _facts(answer: dict[str, Any]) -> Facts:
    return Facts(**_found(answer))


def _judged(answer: dict[str, Any]) -> Facts | Undecodable:
    try:
        return _facts(answer)
    except Undecodable as reason:
        return reason


class _Decoder:
    """One process that answers questions about files, one after the other."""

    def __init__(self) -> None:
        # A new program, not a fork: this process has threads. -I, -S and no environment: it gets none of this process's
        # start-up code and secrets.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, *_PACKAGES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )

    def ask(self, question: dict[str, Any]) -> None:
        """Put a question. So few wait that they fit into the pipe; that the process is gone shows in its answer."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any] | None:
        """To the first question that has none yet; None when the process is gone."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def end(self) -> None:
        """Whatever it is at."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # of a question that it has not read
                pipe.close()


# Decoders at rest; as many as have ever been needed at once. A forked process (a server's worker) begins with none.
_resting: deque[_Decoder] = deque()
os.register_at_fork(after_in_child=_resting.clear)


class _Asking:
    """A decoder to oneself, from the first question on, and another one in its place when somebody ends it.

    That is not a file's doing: files are opened by the decoder's children only.
    """

    def __init__(self) -> None:
        self.decoder: _Decoder | None = None
        self.is_new = False
        self.unanswered: deque[dict[str, Any]] = deque()

    def ask(self, question: dict[str, Any]) -> None:
        self.unanswered.append(question)
        if self.decoder is None:
            self._take()
        else:
            self.decoder.ask(question)

    def answer(self) -> dict[str, Any]:
        """To the first question that has none yet. Raises: RuntimeError when no decoder runs."""
        while True:
            assert self.decoder is not None
            found = self.decoder.answer()
            if found is not None:
                self.unanswered.popleft()
                self.is_new = False
                return found
            self.decoder.end()
            if self.is_new:
                code = self.decoder.process.returncode
                raise RuntimeError(f"The decoder process does not run: it ended with status {code}.")
            self._take()

    def close(self) -> None:
        """Let the decoder rest; one that is still at work for nobody is ended."""
        if self.decoder is None:
            return
        if self.unanswered:
            self.decoder.end()
        else:
            _resting.append(self.decoder)

    def _take(self) -> None:
        try:
            self.decoder, self.is_new = _resting.pop(), False
        except IndexError:
            self.decoder, self.is_new = _Decoder(), True
        for question in self.unanswered:
            self.decoder.ask(question)
