"""Look into untrusted files, each in a process of its own with little time and memory.

Each line that `main` reads is a JSON question (`path`, `kinds`, and the limits `seconds`, `memory` in bytes, `side` in
pixels, `frames`), each line written its answer: what the file is, or `{"problem": …}`, a phrase that follows the file's
name in a sentence. This process never opens a file: it imports Pillow once and forks for each question, which costs
a seventh of a new interpreter; it has one thread, so forking is safe. It ends when its input ends, that is, with
whoever asks.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

from evalhub.studies.decoding.signatures import sniff
from evalhub.studies.decoding.stills import read_image
from evalhub.studies.decoding.unfit import Unfit
from evalhub.studies.decoding.videos import read_video


def limit(seconds: int, memory: int) -> None:
    """Bind this process: processor time, address space, no file written, no core dumped, few files open."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for name, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 32)):
        resource.setrlimit(name, (most, most))


def longest(seconds: dict[str, int], kinds: list[str]) -> int:
    """The processor time that any of these kinds may take."""
    return max(seconds[kind] for kind in kinds)


def examine(
    path: str, kinds: list[str], seconds: dict[str, int], memory: int, side: dict[str, int], frames: int
) -> dict[str, object]:
    """The answer about one file, under limits that bind this process from now on."""
    most = longest(seconds, kinds)
    limit(most, memory)
    signal.alarm(2 * most)
    try:
        with open(path, "rb") as file:
            kind, form = sniff(file.read(512), kinds)
        if kind == "video":
            return read_video(path, form, side[kind], frames)
        return read_image(path, form, side[kind])
    except Unfit as reason:
        return {"problem": str(reason)}


def answer(question: dict[str, Any]) -> bytes:
    """One line about one file, by a process made for it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, json.dumps(examine(**question)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        line = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return line
    if -code in (signal.SIGXCPU, signal.SIGALRM):
        most = longest(question["seconds"], question["kinds"])
        return json.dumps({"problem": f"takes longer than {most} seconds to decode"}).encode()
    return json.dumps({"problem": "makes the decoder fail; it is damaged, or made to do harm"}).encode()


def main() -> None:
    from PIL import AvifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    for question in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(json.loads(question)) + b"\n")
        sys.stdout.buffer.flush()
