"""Votes on their way in, in tables of their own that the transaction takes with it.

The database finds their samples, their raters and what is said twice, a whole file at once; nothing of a file is kept
in this process but the lines that are named in its report.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection

from evalhub.studies.models import Study
from raters import locks
from raters.models import VoteImport
from raters.services import staging_sql as sql

AT_ONCE = 1_000  # lines go to the database together
LEAST_AT_ONCE, MOST_PARTS = 20_000, 20  # comparisons and votes are added so many lines at a time
NAMED = 20  # so many lines of each kind are named
UNNAMED_RATERS = 200
"""Votes without a rater are dealt out to so many, whatever they say: votes that depend on nobody in particular, in
groups that depend on nothing, give intervals as wide as if each stood for itself."""
EXCLUDED = "Excluded where the votes come from."

PAIRS, VOTES = "Adding the pairs", "Adding the votes"


@dataclass(frozen=True)
class Fault:
    """A line that has no place, with what its sentence is made of; `of_kind` is how many there are of its kind."""

    kind: str
    of_kind: int
    line: int
    prompt: str
    left_checkpoint: UUID
    right_checkpoint: UUID
    is_left_missing: bool
    left_outputs: int | None
    is_left_changed: bool


def stage(columns: Sequence[str], lines: Iterable[tuple[int, str]], told: Callable[[int], None]) -> None:
    """Put the lines into a table; in a transaction, with which it goes.

    Args:
        lines: each one's number, and the rest of its columns as COPY takes them.
        told: hears how many there are by now.
    """
    copy = f"COPY staged_vote ({', '.join(columns)}) FROM STDIN"
    done, rest = 0, iter(lines)
    with connection.cursor() as cursor:
        cursor.execute(sql.STAGED)
        while some := list(islice(rest, AT_ONCE)):
            text = "".join([f"{number}\t{cells}\n" for number, cells in some])
            cursor.copy_expert(copy, _Text(text.encode()))
            done += len(some)
            told(done)


class _Text:
    """Bytes that are read once, as a file: psycopg copies no more than it asks for."""

    def __init__(self, content: bytes) -> None:
        self.rest = memoryview(content)

    def read(self, size: int) -> bytes:
        some, self.rest = bytes(self.rest[:size]), self.rest[size:]
        return some


def place(study: Study, known: VoteImport) -> None:
    """Find each line's samples and rater, and note what is in the way of those that have no place.

    Args: known: the import that they belong to, saved or not.
    """
    about = {"study": study.pk, "unnamed": UNNAMED_RATERS, "salt": f"{known.pk}:"}
    steps = [sql.FOUND, sql.DEALT, sql.PLACED, "ANALYZE found_vote (line)", "ANALYZE placed_vote"]
    if known.votes:  # else its raters are new, and have said nothing
        steps += [sql.KNOWN_PAIRS, sql.KNOWN_VOTES]
    _run(steps, about)


def totals() -> tuple[int, int, int]:
    """Votes that have a place, their raters, and lines that say what is there already."""
    with connection.cursor() as cursor:
        cursor.execute(sql.TOTALS)
        votes, raters, again = cursor.fetchone()
    return votes, raters, again


def faults() -> list[Fault]:
    """The first lines of each kind that have no place."""
    with connection.cursor() as cursor:
        cursor.execute(sql.FAULTS, {"named": NAMED})
        return [Fault(*row) for row in cursor.fetchall()]


def write(study: Study, known: VoteImport, tell: Callable[[str, int, int], None]) -> None:
    """Add raters, comparisons, votes and, last, what was said besides, of the lines that have a place.

    Args: tell: hears at what it is, up to which line, and which is the last.
    """
    about: dict[str, Any] = {"study": study.pk, "import": known.pk, "group": known.group, "excluded": EXCLUDED}
    # What is written is checked as it is written, and not all of it at the end while others wait.
    _run(["SET CONSTRAINTS ALL IMMEDIATE", sql.ADD_RATERS, sql.ADD_ENROLMENTS, sql.NUMBERED], about)
    for part in _parts():
        _run([sql.ADD_COMPARISONS], about | part)
        tell(PAIRS, part["last"], part["most"])
    _run([sql.ORIGINALS, sql.ANSWERS, "ANALYZE numbered_pair"], about)
    locks.share_many_votes(study)  # a ranking waits from here on, so only for the votes
    for part in _parts():
        _run([sql.ADD_VOTES], about | part)
        tell(VOTES, part["last"], part["most"])
    _run([sql.ADD_REMARKS, "SET CONSTRAINTS ALL DEFERRED"], about)


def _parts() -> Iterator[dict[str, int]]:
    """Spans of lines."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(line), 0) FROM placed_vote")
        (most,) = cursor.fetchone()
    span = max(LEAST_AT_ONCE, -(-most // MOST_PARTS))
    for first in range(1, most + 1, span):
        yield {"first": first, "last": min(most, first + span - 1), "most": most}


def _run(statements: Iterable[str], about: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, about)
