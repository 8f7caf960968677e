"""Votes from a CSV file, and a ranking as a text table."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.result import Ranking, Row
from raters.ranking.votes import OUTCOMES, Votes

REQUIRED = ("left", "right", "outcome")
OPTIONAL = ("rater", "prompt", "criterion")
SHOWN_FAULTS = 20


def read_votes(path: Path, criterion: str | None = None) -> tuple[Votes, tuple[str, ...]]:
    """Reads `left,right,outcome[,rater,prompt,criterion]`; other columns are passed over.

    Args:
        criterion: keep this criterion's votes only.
    Raises:
        MalformedVotes: the file cannot be read, a column is missing, or rows are bad; bad rows are named by line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            columns = _columns(file, path)
    except OSError as error:
        raise MalformedVotes(f"The votes file {path} cannot be read: {error.strerror}; check its path.") from error
    except csv.Error as error:
        raise MalformedVotes(f"The votes file {path} is not a CSV table: {error}; export it again.") from error
    except UnicodeDecodeError as error:
        raise MalformedVotes(f"The votes file {path} must be UTF-8 text; save it as such.") from error
    if criterion is not None:
        columns = _of_criterion(columns, criterion)
    return Votes.from_labels(
        columns["left"],
        columns["right"],
        columns["outcome"],
        rater=columns.get("rater"),
        prompt=columns.get("prompt"),
    )


def text_table(ranking: Ranking) -> str:
    """The ranking for a terminal: one line per contestant, then position, ties and warnings."""
    digits = 1 if ranking.settings["scale"] == "elo" else 3
    header = ["rank", "name", "rating", "95 % interval", "votes", "wins", "losses", "ties", "both bad"]
    lines = [header, *(_cells(row, digits) for row in ranking.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    table = [
        "  ".join(c.ljust(w) if i == 1 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    notes = []
    if ranking.position.value is not None and ranking.position.se is not None:
        notes.append(
            f"Left side's advantage: {ranking.position.value:.{digits}f} ± {ranking.position.se:.{digits}f} (SE)"
        )
    if ranking.tie.value is not None:
        notes.append(f"Ties: ν = {ranking.tie.value:.3f}")
    return "\n".join([*(line.rstrip() for line in table), "", *notes, *ranking.warnings]).rstrip()


def _cells(row: Row, digits: int) -> list[str]:
    if row.rank_low is None:
        rank = "–"
    else:
        rank = str(row.rank_low) if row.rank_low == row.rank_high else f"{row.rank_low}–{row.rank_high}"
    rating, interval = "–", "–"
    if row.rating is not None and row.low is not None and row.high is not None:
        rating, interval = f"{row.rating:.{digits}f}", f"{row.low:.{digits}f} to {row.high:.{digits}f}"
    counts = (row.comparisons, row.wins, row.losses, row.ties, row.both_bad)
    return [rank, row.name, rating, interval, *(str(count) for count in counts)]


def _columns(file: TextIO, path: Path) -> dict[str, list[str]]:
    """The known columns of all rows."""
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader, [])]
    if missing := [name for name in REQUIRED if name not in header]:
        raise MalformedVotes(
            f"The first line of {path} must name the columns {', '.join(REQUIRED)}; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing."
        )
    if repeated := [name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1]:
        raise MalformedVotes(f"The column {repeated[0]} must appear once in {path}, but it is named twice.")
    places = {name: header.index(name) for name in (*REQUIRED, *OPTIONAL) if name in header}
    columns: dict[str, list[str]] = {name: [] for name in places}
    faults = []
    for row in reader:
        if not any(field.strip() for field in row):
            continue
        if fault := _fault(row, len(header), places):
            faults.append(f"Line {reader.line_num}: {fault}")
            continue
        for name, place in places.items():
            columns[name].append(row[place].strip())
    if faults:
        more = len(faults) - SHOWN_FAULTS
        tail = [f"… and {more} more bad lines."] if more > 0 else []
        raise MalformedVotes("\n".join([*faults[:SHOWN_FAULTS], *tail]))
    return columns


def _fault(row: Sequence[str], width: int, places: dict[str, int]) -> str | None:
    """What is wrong with one row, as a sentence; None if nothing is."""
    if len(row) != width:
        return f"expected {width} fields, as in the header, got {len(row)}."
    for name, place in places.items():
        if not row[place].strip():
            return f"{name} must not be blank."
    outcome = row[places["outcome"]].strip()
    if outcome not in OUTCOMES:
        return f"outcome must be one of {', '.join(OUTCOMES)}, got {outcome!r}."
    if row[places["left"]].strip() == row[places["right"]].strip():
        return f"left and right must differ, got {row[places['left']].strip()!r} twice."
    return None


def _of_criterion(columns: dict[str, list[str]], criterion: str) -> dict[str, list[str]]:
    if "criterion" not in columns:
        raise UnknownOption(f"The votes have no criterion column, so {criterion!r} cannot be chosen; leave it out.")
    kept = [i for i, name in enumerate(columns["criterion"]) if name == criterion]
    if not kept:
        offered = ", ".join(sorted(set(columns["criterion"]))) or "none"
        raise UnknownOption(f"The criterion must be one of those in the file ({offered}), got {criterion!r}.")
    return {name: [column[i] for i in kept] for name, column in columns.items()}
