"""What a file really is, found out by a process that may fall over instead of this one."""

import base64
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL
from django.conf import settings

import evalhub

_PROGRAM = "import sys; sys.path += sys.argv[1:]; from evalhub.studies.decoding.process import main; main()"
_PACKAGES = [str(Path(evalhub.__file__).parent.parent), str(Path(PIL.__file__).parent.parent)]


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
    seconds = {"image": settings.DECODE_SECONDS, "video": settings.DECODE_VIDEO_SECONDS}
    return Facts(**_found(_question(path, list(kinds), seconds)))


def poster(path: Path, edge: int) -> bytes:
    """A frame of a video that was taken before, as a WebP file, under the limits for pictures.

    Args: edge: the most pixels on its longer side.
    Raises: Undecodable when no frame can be had; RuntimeError when no decoder runs.
    """
    question = _question(path, ["video"], {"video": settings.DECODE_SECONDS})
    return base64.b64decode(_found(question | {"poster": edge})["poster"])


def _question(path: Path, kinds: list[str], seconds: dict[str, int]) -> dict[str, Any]:
    return {
        "path": str(path),
        "kinds": kinds,
        "seconds": seconds,
        "memory": settings.DECODE_MEMORY_BYTES,
        "side": {"image": settings.MAX_IMAGE_SIDE, "video": settings.MAX_VIDEO_SIDE},
        "frames": settings.MAX_VIDEO_FRAMES,
    }


def _found(question: dict[str, Any]) -> dict[str, Any]:
    found = _ask(question)
    if "problem" in found:
        raise Undecodable(found["problem"])
    return found


class _Decoder:
    """One process that answers questions about files, one at a time."""

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

    def answer(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """None when the process is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None


# Decoders at rest; as many as have ever been needed at once. A forked process (a server's worker) begins with none.
_resting: deque[_Decoder] = deque()
os.register_at_fork(after_in_child=_resting.clear)


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    while True:
        try:
            decoder, is_new = _resting.pop(), False
        except IndexError:
            decoder, is_new = _Decoder(), True
        found = decoder.answer(question)
        if found is not None:
            _resting.append(decoder)
            return found
        # Somebody ended it, which is not the file's doing: files are opened by its children only.
        code = decoder.process.wait()
        if is_new:
            raise RuntimeError(f"The decoder process does not run: it ended with status {code}.")
