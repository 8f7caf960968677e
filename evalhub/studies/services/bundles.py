"""Many small files in one body, which share the cost of a request and of a commit.

A body begins with its table: a line `<sha256> <size>` for each file and an empty line. The files' bytes follow in that
order, with nothing between them. Nothing in it is a name, so none can lead anywhere.

Each file is checked as one that comes alone is, and one that does not do leaves the others as they are. While one is
decoded the next ones arrive; they are stored and marked in groups, so whoever is cut off loses at most a group.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evalhub.problems import Refusal
from evalhub.studies.inspection import inspect_each
from evalhub.studies.models import EntryState, ManifestEntry, Submission
from evalhub.studies.services import parts
from evalhub.studies.services.media import CHUNK, CutOff, NoRoom, Stream, room_for_uploads, written_down
from evalhub.studies.services.receiving import Arrived, all_received, broken, complete_if_last, take_all

MOST_FILES = 1000
MOST_BYTES = 64 * 2**20
GROUP = 8  # of each body on its way so many files, at most, are lost when the server is killed
PATIENCE = 20.0
"""After so many seconds of decoding no more files are begun: whoever sent them should hear of those that are done."""

LINE = re.compile(rb"([0-9a-f]{64}) (0|[1-9][0-9]{0,17})", re.ASCII)
LONGEST_LINE = 64 + 1 + 18 + 1
LONGEST_TABLE = MOST_FILES * LONGEST_LINE + 1


class BadTable(Refusal):
    """A body whose table says nothing, or something else than follows."""

    status = 400


@dataclass(frozen=True)
class Announced:
    """A line of the table: a file's SHA-256 in hex and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    `state` is an entry's: `received`; `bad`, and `problem` says in a sentence what is wrong with it; or `missing`,
    where `problem` says why it is not wanted, or nothing if there was no time for it and it may be sent again.
    """

    sha256: str
    state: str
    problem: str = ""


def read_table(stream: Stream, length: int) -> tuple[list[Announced], Stream]:
    """What a body announces, and the rest of the stream.

    Args: length: of the whole body, in bytes.
    Raises: BadTable, before a byte of any file is looked at; CutOff.
    """
    beginning = stream.read(min(length, LONGEST_TABLE))
    table, end, rest = beginning.partition(b"\n\n")
    if not end and len(beginning) < min(length, LONGEST_TABLE):
        raise CutOff("The connection broke before the table of the files had arrived; send the body again.")
    if not end:
        raise BadTable(
            f"The body begins with a line “<sha256> <size>” for each of at most {MOST_FILES:,} files and an empty "
            f"line; its first {len(beginning):,} bytes have no empty line."
        )
    announced = [_line(number, line) for number, line in enumerate(table.split(b"\n"), 1)]
    if len(announced) > MOST_FILES:
        raise BadTable(f"The table lists {len(announced):,} files, and at most {MOST_FILES:,} are taken in one body.")
    if len({file.sha256 for file in announced}) < len(announced):
        raise BadTable("The table lists a file twice; send each file once, however many paths of the manifest it has.")
    said, follow = sum(file.size for file in announced), length - len(table) - len(end)
    if said != follow:
        raise BadTable(f"The table speaks of {said:,} bytes of files, and {follow:,} follow it.")
    return announced, _Rest(rest, stream)


def receive_files(*, submission: Submission, announced: Sequence[Announced], stream: Stream) -> list[Outcome]:
    """Take several promised files, and complete the submission if they were the last.

    Args: announced: each file once, in the order in which the stream gives them.
    Returns: what became of each, in that order; `submission.state` is the new one.
    Raises: NoRoom; CutOff, or OSError, when the stream ends early. What had arrived whole before stays.
    """
    with room_for_uploads() as folder:
        arrival = _Arrival(submission, announced, stream, folder)
        group: list[Arrived] = []
        with closing(inspect_each(arrival.files(), [submission.checkpoint.study.modality])) as looked_into:
            for arrived, found in looked_into:
                group.append(arrived.judged(found))
                if len(group) == GROUP:
                    arrival.settle(group)
                    group = []
        arrival.settle(group + arrival.damaged)
    if arrival.failure is not None:
        raise arrival.failure
    complete_if_last(submission)
    return [arrival.outcomes[file.sha256] for file in announced]


class _Rest:
    """A stream whose beginning was read already. It is read in large steps: a small one costs a server as much."""

    def __init__(self, beginning: bytes, stream: Stream) -> None:
        self.here, self.stream = memoryview(beginning), stream

    def read(self, size: int, /) -> bytes:
        if not self.here:
            self.here = memoryview(self.stream.read(CHUNK))
        taken, self.here = self.here[:size], self.here[size:]
        return bytes(taken)


class _Limited:
    """The bytes of one file within the stream of all."""

    def __init__(self, stream: Stream, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int, /) -> bytes:
        chunk = self.stream.read(min(size, self.left)) if self.left else b""
        self.left -= len(chunk)
        return chunk


class _Arrival:
    """The files of one body: those on their way, and what became of the others."""

    def __init__(self, submission: Submission, announced: Sequence[Announced], stream: Stream, folder: Path) -> None:
        self.submission, self.announced, self.stream, self.folder = submission, announced, stream, folder
        self.outcomes: dict[str, Outcome] = {}
        self.damaged: list[Arrived] = []
        self.failure: NoRoom | CutOff | OSError | None = None
        self.promised: dict[str, list[ManifestEntry]] = {}
        for entry in submission.entries.filter(sha256__in=[file.sha256 for file in announced]):
            self.promised.setdefault(entry.sha256, []).append(entry)

    def files(self) -> Iterator[tuple[Arrived, Path]]:
        """Those that are to be decoded, as they arrive; ends where the stream does, or the disk, and keeps why."""
        waited = 0.0
        try:
            for file in self.announced:
                entries = self.promised.get(file.sha256, [])
                unwanted = _unwanted(file, entries)
                if unwanted is None and waited > PATIENCE:
                    unwanted = Outcome(file.sha256, EntryState.MISSING)
                if unwanted is not None:
                    self.outcomes[file.sha256] = unwanted
                    self._skip(file)
                    continue
                arrived = self._take_down(file, entries)
                if arrived.problem:
                    self.damaged.append(arrived)
                    continue
                before = time.monotonic()
                yield arrived, arrived.upload.path
                waited += time.monotonic() - before
        except (NoRoom, CutOff, OSError) as failure:
            self.failure = failure

    def settle(self, arrived: Sequence[Arrived]) -> None:
        """Store and mark these files, and make room for others."""
        in_part = parts.sizes(self.submission.pk)
        for each, entries in zip(arrived, take_all(self.submission, arrived), strict=True):
            sha256 = each.entries[0].sha256
            self.outcomes[sha256] = _outcome(sha256, entries)
            each.upload.path.unlink(missing_ok=True)  # storage may have moved it away
            if sha256 in in_part:
                parts.forget(self.submission.pk, sha256)

    def _take_down(self, file: Announced, entries: list[ManifestEntry]) -> Arrived:
        within = _Limited(self.stream, file.size)
        upload = written_down(within, self.folder / file.sha256, file.size)
        self._whole(within)
        return Arrived(entries, upload, problem=broken(upload, entries[0]))

    def _skip(self, file: Announced) -> None:
        within = _Limited(self.stream, file.size)
        while within.read(CHUNK):
            pass
        self._whole(within)

    def _whole(self, within: _Limited) -> None:
        if within.left:
            raise CutOff("The connection broke before all files had arrived; send those that are still missing.")


def _unwanted(file: Announced, entries: Sequence[ManifestEntry]) -> Outcome | None:
    """What is to be said of a file that is not taken: it is here, or not promised."""
    if not entries:
        problem = f"The manifest promises no file with SHA-256 {file.sha256}; post the manifest again."
        return Outcome(file.sha256, EntryState.MISSING, problem)
    if all_received(entries):
        return Outcome(file.sha256, EntryState.RECEIVED)
    if file.size != entries[0].size:
        problem = (
            f"{entries[0].path} is announced with {file.size:,} bytes, and the manifest promises {entries[0].size:,}; "
            "post the manifest again."
        )
        return Outcome(file.sha256, EntryState.MISSING, problem)
    return None


def _outcome(sha256: str, entries: Sequence[ManifestEntry]) -> Outcome:
    if not entries:
        problem = f"The manifest was changed while the file {sha256} was on its way and lists it no longer."
        return Outcome(sha256, EntryState.MISSING, problem)
    problems = " ".join(entry.problem for entry in entries if entry.state == EntryState.BAD)
    return Outcome(sha256, EntryState.BAD if problems else EntryState.RECEIVED, problems)


def _line(number: int, line: bytes) -> Announced:
    found = LINE.fullmatch(line)
    if found is None:
        raise BadTable(
            f"Line {number:,} of the body's table is not “<sha256> <size>”, 64 lower-case hex digits and a number of "
            "bytes."
        )
    return Announced(found[1].decode(), int(found[2]))
