"""Look into untrusted files, in processes with little time and memory.

Each line that `main` reads is a JSON question (`path`, `kinds`, and the limits `seconds`, `memory` in bytes, `side` in
pixels, `frames`), each line written its answer: what the file is, or `{"problem": …}`, a phrase that follows the file's
name in a sentence. Where a question has a `poster`, its pixels on the longer side, the answer is one of its frames.
This process never opens a file: it imports Pillow once, forks, and passes the questions on to its child; it has one
thread, so forking is safe. It ends when its input ends, that is, with whoever asks.

A child that has read a picture to its end reads the next one too, which spares a fork for each of many thousands. It
is replaced after any file that did not do, after a video, after `MOST` files, and once it has grown; whatever it does,
it is killed when it takes too long over a file. Processor time is counted anew for each file.
"""

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalhub.studies.decoding.posters import draw_poster
from evalhub.studies.decoding.signatures import sniff
from evalhub.studies.decoding.stills import read_image
from evalhub.studies.decoding.unfit import Unfit
from evalhub.studies.decoding.videos import read_video

MOST = 100
GROWN = 512 * 2**10  # KiB, as the kernel counts the most memory that a process has had
STAYS, LEAVES, LATE = b"+", b"-", b"!"  # begin a child's answer; the last is instead of one


def limit(seconds: int, memory: int) -> None:
    """Bind this process, for good: processor time, address space, no file written, no core dumped, few files open."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds * MOST))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for name, most in ((resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 32)):
        resource.setrlimit(name, (most, most))


def longest(seconds: dict[str, int], kinds: list[str]) -> int:
    """The processor time that any of these kinds may take."""
    return max(seconds[kind] for kind in kinds)


def allow(seconds: int) -> None:
    """Let this process have so much processor time from now on, and twice that by the clock."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime) + 1
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (min(used + seconds, most), most))
    signal.alarm(2 * seconds)


def examine(
    path: str,
    kinds: list[str],
    seconds: dict[str, int],
    memory: int,
    side: dict[str, int],
    frames: int,
    poster: int = 0,
) -> dict[str, object]:
    """The answer about one file."""
    try:
        with open(path, "rb") as file:
            kind, form = sniff(file.read(512), kinds)
        if kind == "video" and poster:
            return draw_poster(path, form, side[kind], poster)
        if kind == "video":
            return read_video(path, form, side[kind], frames)
        return read_image(path, form, side[kind])
    except Unfit as reason:
        return {"problem": str(reason)}


def serve(questions: int, answers: int, seconds: int, memory: int) -> None:
    """Answer questions under limits, until a file gives reason to end."""
    limit(seconds, memory)
    with os.fdopen(questions, "rb") as asked:
        for number in range(1, MOST + 1):
            line = asked.readline()
            if not line:
                return
            question = json.loads(line)
            allow(longest(question["seconds"], question["kinds"]))
            found = examine(**question)
            signal.alarm(0)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > GROWN
            stays = found.get("kind") == "image" and not grown and number < MOST
            os.write(answers, (STAYS if stays else LEAVES) + _line(found))
            if not stays:
                return


@dataclass
class Child:
    """A process that reads files, the pipes to and from it, and under which limits it runs."""

    pid: int
    asking: int
    answering: int
    limits: tuple[int, int]

    @classmethod
    def fork(cls, limits: tuple[int, int]) -> "Child":
        questions, asking = os.pipe()
        answering, answers = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for other in (sys.stdin.fileno(), sys.stdout.fileno(), asking, answering):
                    os.close(other)
                serve(questions, answers, *limits)
                status = 0
            finally:
                os._exit(status)
        os.close(questions)
        os.close(answers)
        return cls(pid, asking, answering, limits)

    def ask(self, question: dict[str, Any], seconds: int) -> bytes:
        """Its answer, a whole line; nothing when it died over the question, LATE when it has to be killed."""
        try:
            os.write(self.asking, json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            return b""
        line = b""
        while not line.endswith(b"\n"):
            # The child's own alarm comes first, unless a file has got hold of the child.
            if not select.select([self.answering], [], [], 2 * seconds + 2)[0]:
                return LATE
            step = os.read(self.answering, 65536)
            if not step:
                return b""
            line += step
        return line

    def stirs(self) -> bool:
        """Whether it has ended, or talks without being asked."""
        return bool(select.select([self.answering], [], [], 0)[0])

    def end(self) -> int:
        """What it ended with; one that has not ended is killed."""
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.asking)
        os.close(self.answering)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Decoder:
    """One child at a time, kept while it does well."""

    def __init__(self) -> None:
        self.child: Child | None = None

    def answer(self, question: dict[str, Any]) -> bytes:
        """One line about one file."""
        seconds = longest(question["seconds"], question["kinds"])
        before = self.child
        child = self._child((seconds, question["memory"]))
        line = child.ask(question, seconds)
        if line.startswith(STAYS):
            return line[1:]
        self.child = None
        code = child.end()
        if line.startswith(LEAVES):
            return line[1:]
        if line == LATE or -code in (signal.SIGXCPU, signal.SIGALRM):
            return _line({"problem": f"takes longer than {seconds} seconds to decode"})
        if child is before:  # what it died of may have befallen it before: a new one tells whether it is this file
            return self.answer(question)
        return _line({"problem": "makes the decoder fail; it is damaged, or made to do harm"})

    def _child(self, limits: tuple[int, int]) -> Child:
        """The one that rests, if it runs under these limits and is alive and silent; or a new one."""
        if self.child is not None and (self.child.limits != limits or self.child.stirs()):
            self.child.end()
            self.child = None
        if self.child is None:
            self.child = Child.fork(limits)
        return self.child


def _line(found: Mapping[str, object]) -> bytes:
    return json.dumps(found).encode() + b"\n"


def main() -> None:
    from PIL import AvifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    decoder = Decoder()
    for question in sys.stdin.buffer:
        sys.stdout.buffer.write(decoder.answer(json.loads(question)))
        sys.stdout.buffer.flush()
