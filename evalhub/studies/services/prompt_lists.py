"""Lists of prompts as they are read: what each line says, which files it names, and everything that does not do."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from evalhub.problems import Refusal
from evalhub.studies.services.delivery import Files

MOST_PROMPTS = 20_000
PARTS = ("source", "mask", "reference")
COLUMNS = ("key", "text", "tags", "source_text", *PARTS)
LONGEST_KEY, LONGEST_TAG = 200, 64
NO_TEXT = re.compile("[\\x00\\ud800-\\udfff]")  # what no text in a database holds; JSON can spell both
UNFIT = set("/\\\0\n\r")


@dataclass(frozen=True)
class Line:
    """One prompt as it stands in a list.

    Args:
        number: of its line in the list; 0 for one that only files make.
        named: the file that it names for each part; files: where that file is, once it has been found.
    """

    number: int
    key: str
    text: str = ""
    source_text: str = ""
    tags: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What does not do, as a sentence; `line` is 0 where it concerns no single line."""

    line: int
    says: str


@dataclass
class Reading:
    """What came of a list so far."""

    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, says: str) -> None:
        self.problems.append(Problem(line, says))


def is_list(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in {".csv", ".jsonl", ".ndjson"}


def read_list(name: str, content: bytes) -> Reading:
    """The lines of a CSV file with a header, or of a file with one JSON object per line.

    Raises: Refusal where nothing can be read at all; what concerns single lines is in the result.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{name} is not UTF-8 text; save it as CSV or JSON lines in UTF-8.") from None
    reading = Reading()
    read = _csv_lines if name.lower().endswith(".csv") else _json_lines
    try:
        reading.lines = list(read(name, text, reading))
    except csv.Error as error:
        raise Refusal(f"{name} cannot be read as CSV ({error}); a field in quotes may never end.") from None
    if not 0 < len(reading.lines) + len(reading.problems) <= MOST_PROMPTS:
        raise Refusal(f"{name} holds {len(reading.lines):,} prompts; between 1 and {MOST_PROMPTS:,} are taken at once.")
    return reading


def _csv_lines(name: str, text: str, reading: Reading) -> Iterator[Line]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    names = list(rows.fieldnames or [])
    if "key" not in names:
        raise Refusal(
            f"{name} needs the columns key, text and tags in its first line; it has {', '.join(names) or 'none'}."
        )
    if strange := [repr(each) for each in names if each not in COLUMNS]:
        reading.refuse(
            1,
            f"The column {strange[0]} is not known; take it out, or call it one of {', '.join(COLUMNS)}.",
        )
    for row in rows:
        if None in row:  # where csv puts the fields that are too many
            reading.refuse(
                rows.line_num,
                "It has more fields than the first line names; put a text with commas in quotes.",
            )
            continue
        given = {column: row.get(column) or "" for column in COLUMNS}
        yield _line(rows.line_num, given, tuple(given["tags"].split()))


def _json_lines(name: str, text: str, reading: Reading) -> Iterator[Line]:
    for number, source in enumerate(text.splitlines(), 1):
        if not source.strip():
            continue
        try:
            found = json.loads(source)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("key"), str):
            reading.refuse(number, "Expected a JSON object with “key”, “text” and “tags”.")
            continue
        tags = found.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            reading.refuse(number, "“tags” is a list of words.")
            continue
        if strange := [repr(each) for each in found if each not in COLUMNS]:
            reading.refuse(
                number,
                f"The field {strange[0]} is not known; take it out, or call it one of {', '.join(COLUMNS)}.",
            )
            continue
        if unfit := [each for each in COLUMNS if each != "tags" and not isinstance(found.get(each) or "", str)]:
            reading.refuse(number, f"“{unfit[0]}” is a text.")
            continue
        yield _line(number, {column: found.get(column) or "" for column in COLUMNS}, tuple(tags))


def _line(number: int, given: Mapping[str, Any], tags: tuple[str, ...]) -> Line:
    named = {part: given[part].strip() for part in PARTS if given[part].strip()}
    return Line(number, given["key"], given["text"], given["source_text"], tags, named)


def check_lines(reading: Reading) -> None:
    """Note what no database takes, keys that no file could be named after, and keys that come twice."""
    seen: dict[str, int] = {}
    for line in reading.lines:
        if NO_TEXT.search("".join((line.key, line.text, line.source_text, *line.tags, *line.named.values()))):
            reading.refuse(line.number, f"The prompt {line.key!a} contains null or half characters, which are no text.")
        elif problem := key_problem(line.key):
            reading.refuse(line.number, problem)
        elif line.key in seen:
            reading.refuse(line.number, f"The key “{line.key}” stands in line {seen[line.key]} already.")
        elif long := [tag for tag in line.tags if len(tag) > LONGEST_TAG]:
            reading.refuse(line.number, f"The tag “{long[0][:80]}” has more than {LONGEST_TAG} characters.")
        seen.setdefault(line.key, line.number)


def key_problem(key: str) -> str:
    """What is wrong with a prompt's key, as a sentence, or nothing."""
    if not key or key != key.strip() or len(key) > LONGEST_KEY or UNFIT & set(key):
        return (
            f"A prompt's key is 1 to {LONGEST_KEY} characters without slashes or line breaks; "
            f"got “{key[:LONGEST_KEY]}”."
        )
    return ""


def attach(reading: Reading, files: Files, apart: Mapping[str, Files]) -> None:
    """Find for each line the files that it names, and those that are named after it; note whatever is left over.

    Args:
        files: what came with the list, by path: looked up by the names that the list gives.
        apart: files that are named after keys, by part.
    """
    by_key = {part: _after_keys(part, paths, reading) for part, paths in _by_part(files, apart).items()}
    by_end = _by_end(files)
    names_of = Counter(PurePosixPath(name).name for name in {n for line in reading.lines for n in line.named.values()})
    used: set[str] = set()
    for place, line in enumerate(reading.lines):
        found = {part: by_key[part][line.key] for part in PARTS if line.key in by_key[part]}
        for part, name in line.named.items():
            ends = by_end.get(_plain(name), [])
            last = PurePosixPath(_plain(name)).name
            if not ends and last in files and names_of[last] == 1:  # browsers send chosen files without their folders
                ends = [last]
            if len(ends) == 1:
                found[part] = ends[0]
            else:
                there = "is not among the files" if not ends else f"stands for {len(ends)} of the files"
                reading.refuse(line.number, f"“{name[:200]}”, its {part}, {there}.")
        used |= set(found.values())
        reading.lines[place] = replace(line, files=found)
    for path in [path for path in [*files, *(path for each in apart.values() for path in each)] if path not in used]:
        reading.refuse(0, f"{path} belongs to no prompt of the list.")


def lines_of_pictures(apart: Mapping[str, Files]) -> list[Line]:
    """Without a list: one prompt for each name of a file."""
    keys = dict.fromkeys(PurePosixPath(path).stem for files in apart.values() for path in files)
    return [Line(0, key) for key in keys]


def _by_part(files: Files, apart: Mapping[str, Files]) -> dict[str, list[str]]:
    """Files in a folder called after a part (source/KEY.png or sources/KEY.png), and those given apart."""
    paths: dict[str, list[str]] = {part: list(apart.get(part, ())) for part in PARTS}
    for path in files:
        for part in PARTS:
            if PurePosixPath(path).parent.name.lower() in {part, f"{part}s"}:
                paths[part].append(path)
    return paths


def _after_keys(part: str, paths: Sequence[str], reading: Reading) -> dict[str, str]:
    stems = Counter(PurePosixPath(path).stem for path in paths)
    for stem in [stem for stem, count in stems.items() if count > 1]:
        reading.refuse(0, f"Two of the files are called “{stem}”; a prompt has one {part}.")
    return {PurePosixPath(path).stem: path for path in paths}


def _by_end(files: Files) -> dict[str, list[str]]:
    """Every file under each name that a list may give it: its path, or the end of it."""
    found: dict[str, list[str]] = {}
    for path in files:
        parts = PurePosixPath(path).parts
        for start in range(len(parts)):
            found.setdefault("/".join(parts[start:]), []).append(path)
    # A file that is called just so comes before those that only end so.
    return {name: [name] if name in files else paths for name, paths in found.items()}


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
