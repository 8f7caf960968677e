"""Votes from a CSV file, and a ranking as a text table."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.result import Ranking, Row
from raters.ranking.votes import OUTCOMES, Votes

REQUIRED = ("left", "right", "outcome")
OPTIONAL = ("rater", "prompt", "criterion")
SHOWN_FAULTS = 20
SHOWN_HEADER = 80  # characters


def read_votes(
    path: Path, criterion: str | None = None, covariates: Sequence[str] = ()
) -> tuple[Votes, tuple[str, ...]]:
    """Reads `left,right,outcome[,rater,prompt,criterion]`; other columns are passed over.

    Args:
        criterion: keep this criterion's votes only.
        covariates: further columns, of numbers: the left side's value less the right side's.
    Raises:
        MalformedVotes: the file cannot be read, a column is missing, or rows are bad; bad rows are named by line.
        UnknownOption: the criterion is not in the file, or a covariate is one of the columns above.
    """
    if taken := [name for name in covariates if name in (*REQUIRED, *OPTIONAL)]:
        raise UnknownOption(f"A covariate must be a column of numbers, but {taken[0]} has another meaning; rename it.")
    try:
        columns = _columns(_text(path), path, covariates)
    except csv.Error as error:
        raise MalformedVotes(f"The votes file {path} is not a CSV table: {error}; export it again.") from error
    if criterion is not None:
        columns = _of_criterion(columns, criterion)
    votes, names = Votes.from_labels(
        columns["left"],
        columns["right"],
        columns["outcome"],
        rater=columns.get("rater"),
        prompt=columns.get("prompt"),
    )
    return replace(votes, covariates={name: np.array(columns[name], dtype=np.float64) for name in covariates}), names


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
    for name, effect in ranking.covariates.items():
        notes.append(f"A typical difference of {name}: {effect.value:.{digits}f} ± {effect.se:.{digits}f} (SE)")
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


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MalformedVotes(f"The votes file {path} cannot be read: {error.strerror}; check its path.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MalformedVotes(
            f"The votes file {path} must be UTF-8 text, but line {line} is not; save it as such."
        ) from error


def _columns(text: str, path: Path, covariates: Sequence[str]) -> dict[str, list[str]]:
    """The wanted columns of all rows."""
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    places = _places(header, path, covariates)
    columns: dict[str, list[str]] = {name: [] for name in places}
    faults, line = [], reader.line_num + 1
    for row in reader:
        if any(field.strip() for field in row):
            if fault := _fault(row, len(header), places, covariates):
                faults.append(f"Line {line}: {fault}")
            else:
                for name, place in places.items():
                    columns[name].append(row[place].strip())
        line = reader.line_num + 1  # where the next row begins; a field may hold line ends
    if faults:
        more = len(faults) - SHOWN_FAULTS
        tail = [f"… and {more} more bad lines."] if more > 0 else []
        raise MalformedVotes("\n".join([*faults[:SHOWN_FAULTS], *tail]))
    return columns


def _places(header: Sequence[str], path: Path, covariates: Sequence[str]) -> dict[str, int]:
    """Where each wanted column is."""
    if missing := [name for name in (*REQUIRED, *covariates) if name not in header]:
        found = ",".join(header)
        raise MalformedVotes(
            f"The first line of {path} must name the columns {', '.join((*REQUIRED, *covariates))}, comma-separated; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. "
            + (f"The line is {found[:SHOWN_HEADER]!r}." if found else "The line is empty.")
        )
    wanted = [name for name in (*REQUIRED, *OPTIONAL, *covariates) if name in header]
    if repeated := [name for name in wanted if header.count(name) > 1]:
        raise MalformedVotes(f"The column {repeated[0]} must appear once in {path}, but it is named twice.")
    return {name: header.index(name) for name in wanted}


def _fault(row: Sequence[str], width: int, places: dict[str, int], covariates: Sequence[str]) -> str | None:
    """What is wrong with one row, as a sentence; None if nothing is."""
    if len(row) != width:
        return f"expected {width} fields, as in the header, got {len(row)}."
    for name, place in places.items():
        if not row[place].strip():
            return f"{name} must not be blank."
        if "\0" in row[place]:
            return f"{name} must be text, got a null character in {row[place]!r}."
    outcome = row[places["outcome"]].strip()
    if outcome not in OUTCOMES:
        return f"outcome must be one of {', '.join(OUTCOMES)}, got {outcome!r}."
    if row[places["left"]].strip() == row[places["right"]].strip():
        return f"left and right must differ, got {row[places['left']].strip()!r} twice."
    for name in covariates:
        if not _finite(row[places[name]]):
            return f"{name} must be a finite number, got {row[places[name]].strip()!r}."
    return None


def _finite(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _of_criterion(columns: dict[str, list[str]], criterion: str) -> dict[str, list[str]]:
    if "criterion" not in columns:
        raise UnknownOption(f"The votes have no criterion column, so {criterion!r} cannot be chosen; leave it out.")
    kept = [i for i, name in enumerate(columns["criterion"]) if name == criterion]
    if not kept:
        offered = ", ".join(sorted(set(columns["criterion"]))) or "none"
        raise UnknownOption(f"The criterion must be one of those in the file ({offered}), got {criterion!r}.")
    return {name: [column[i] for i in kept] for name, column in columns.items()}
