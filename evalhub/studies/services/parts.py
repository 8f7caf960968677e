"""Large files arrive in pieces: what has come of each lies in the upload folder until the rest is here.

The length of a part is the offset at which its file goes on. Several web nodes share the upload folder; one that did
not would only name a smaller offset, for what counts is the hash of the whole. A piece is appended in steps, each under
the file's lock and only where the part ends, so several senders of one file cannot mix, and a sender that vanished
holds nothing up. Whoever is cut off loses at most one step.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from django.conf import settings

from evalhub.problems import Conflict
from evalhub.studies.services.media import CHUNK, CutOff, Stream, Upload, no_room_said


class WrongOffset(Conflict):
    """A piece that does not begin where the part ends; `offset`, in the details, says where that is."""

    def __init__(self, sent: int, here: int) -> None:
        super().__init__(
            f"The piece begins at byte {sent:,} and {here:,} bytes of this file are here; go on from there.",
            offset=here,
        )


def append(submission: UUID, sha256: str, stream: Stream, *, start: int, length: int) -> int:
    """Add a piece to a part.

    Returns: the length of the part.
    Raises: WrongOffset; NoRoom, and CutOff when the stream ends early, both with what has come kept.
    """
    require(submission, sha256, start)
    part = _path(submission, sha256)
    part.parent.mkdir(parents=True, exist_ok=True)
    here, end = start, start + length
    while here < end:
        step = stream.read(min(CHUNK, end - here))
        if not step:
            raise CutOff(f"The connection broke after {here:,} bytes of this file; go on from there.", offset=here)
        with no_room_said(), part.open("ab", buffering=0) as file:
            _take_turns(file)
            _write_at_end(file, step, here)
        here += len(step)
    return here


def require(submission: UUID, sha256: str, start: int) -> None:
    """Raises: WrongOffset when the part does not end there; nothing of the piece need be read then."""
    here = size(submission, sha256)
    if here != start:
        raise WrongOffset(start, here)


def size(submission: UUID, sha256: str) -> int:
    """How many bytes of a file are here."""
    try:
        return _path(submission, sha256).stat().st_size
    except FileNotFoundError:
        return 0


def sizes(submission: UUID) -> dict[str, int]:
    """How many bytes are here of each file of a submission that has come in part, by hash."""
    try:
        return {entry.name: entry.stat().st_size for entry in os.scandir(_path(submission, ""))}
    except FileNotFoundError:  # none has, or one was taken just now
        return {}


@contextmanager
def whole(submission: UUID, sha256: str) -> Iterator[Upload | None]:
    """A part that has all its bytes, as an upload. None when another has taken it.

    When the block ends the part is gone. Until then others who would take it wait, and then find what became of it.
    """
    part = _path(submission, sha256)
    taken = part.with_name(f"{sha256}.{uuid4().hex}.taken")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(part.open("rb"))
            _take_turns(file)
            os.link(part, taken)  # a second name: the first one stays while storage moves the file away
        except FileNotFoundError:
            yield None
            return
        stack.callback(forget, submission, sha256)
        stack.callback(taken.unlink, missing_ok=True)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Upload(taken, digest, file.tell())


def forget(submission: UUID, sha256: str) -> None:
    """Remove a part, if there is one, and the folder that it was the last in."""
    part = _path(submission, sha256)
    part.unlink(missing_ok=True)
    try:
        part.parent.rmdir()
    except OSError:  # there is none, or others are still in it
        return


def sweep() -> None:
    """Remove the parts that nobody has added to for so long that their sender will not come back."""
    for part in _folder().glob("*/*"):
        try:
            if time.time() - part.stat().st_mtime > settings.PART_LIFE.total_seconds():
                part.unlink()
                part.parent.rmdir()
        except OSError:  # another process swept it first, or the folder holds others
            continue


def _folder() -> Path:
    return Path(settings.UPLOAD_FOLDER) / "parts"


def _path(submission: UUID, sha256: str) -> Path:
    return _folder() / str(submission) / sha256


def _take_turns(file: BinaryIO) -> None:
    fcntl.flock(file, fcntl.LOCK_EX)


def _write_at_end(file: BinaryIO, step: bytes, start: int) -> None:
    here = os.fstat(file.fileno()).st_size
    if here != start:
        raise WrongOffset(start, here)
    rest = memoryview(step)
    while rest:
        rest = rest[file.write(rest) :]
