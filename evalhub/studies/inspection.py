"""What a file really is, found out by a process that may fall over instead of this one."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import PIL
from django.conf import settings

from evalhub.studies import decode

_PROGRAM = decode.__file__
_PACKAGES = str(Path(PIL.__file__).parent.parent)


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


def inspect(path: Path) -> Facts:
    """Sniff and decode the file in a child process under the limits of the settings; Undecodable when it is not fit."""
    seconds = settings.DECODE_SECONDS
    limits = [str(seconds), str(settings.DECODE_MEMORY_BYTES), str(settings.MAX_IMAGE_SIDE)]
    try:
        # -I and -S: nothing of this process's paths and start-up code; no environment: it holds secrets. A new process,
        # not a fork: gunicorn serves from threads.
        done = subprocess.run(
            [sys.executable, "-I", "-S", _PROGRAM, str(path), _PACKAGES, *limits],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=2 * seconds + 10,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Undecodable(f"takes longer than {seconds} seconds to decode") from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Undecodable(f"takes longer than {seconds} seconds, or more memory than there is, to decode")
    if done.returncode != 0:
        raise Undecodable("makes the decoder fail; it is damaged, or made to do harm")
    found = json.loads(done.stdout)
    if "problem" in found:
        raise Undecodable(found["problem"])
    return Facts(**found)
