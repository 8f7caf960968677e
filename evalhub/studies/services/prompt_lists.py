"""Prompts by the file: a list of texts, a handful of reference pictures, or both, joined by the prompts' keys."""

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from evalhub.problems import Refusal
from evalhub.studies.models import Study, User
from evalhub.studies.services.media import store_media
from evalhub.studies.services.studies import add_prompt

MOST_PROMPTS = 20_000


@dataclass(frozen=True)
class Line:
    """One prompt as it stands in a list."""

    key: str
    text: str = ""
    tags: tuple[str, ...] = ()
    picture: UploadedFile | None = None


@transaction.atomic
def add_prompts(
    *, study: Study, actor: User, prompt_list: UploadedFile | None, references: Sequence[UploadedFile]
) -> int:
    """Add the prompts of a list, each with the picture named after it; without a list, one prompt per picture.

    All or none of them. Returns how many.
    Raises: Refusal in a sentence that names the line or the file that does not do.
    """
    lines = read_list(prompt_list) if prompt_list else []
    for line in _joined(lines, references, listed=prompt_list is not None):
        reference = _stored(study, line.picture) if line.picture else None
        add_prompt(study=study, key=line.key, text=line.text, tags=line.tags, reference=reference, actor=actor)
    return len(lines) or len(references)


def read_list(file: UploadedFile) -> list[Line]:
    """The lines of a CSV file with a header, or of a file with one JSON object per line."""
    name = file.name or "The list"
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{name} is not UTF-8 text; save it as CSV or JSON lines in UTF-8.") from None
    read = _csv_lines if name.lower().endswith(".csv") else _json_lines
    try:
        lines = list(read(name, text))
    except csv.Error as error:
        raise Refusal(f"{name} cannot be read as CSV ({error}); a field in quotes may never end.") from None
    for line in lines:
        _check_characters(name, line)
    if not 0 < len(lines) <= MOST_PROMPTS:
        raise Refusal(f"{name} holds {len(lines):,} prompts; between 1 and {MOST_PROMPTS:,} are taken at once.")
    return lines


def _csv_lines(name: str, text: str) -> Iterator[Line]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if "key" not in (rows.fieldnames or []):
        found = ", ".join(rows.fieldnames or []) or "none"
        raise Refusal(f"{name} needs the columns key, text and tags in its first line; it has {found}.")
    for row in rows:
        if None in row:  # where csv puts the fields that are too many
            raise Refusal(
                f"{name}, line {rows.line_num}: it has more fields than the first line names; "
                "put a text with commas in quotes."
            )
        yield Line(row["key"] or "", row.get("text") or "", tuple((row.get("tags") or "").split()))


def _json_lines(name: str, text: str) -> Iterator[Line]:
    for number, source in enumerate(text.splitlines(), 1):
        if not source.strip():
            continue
        try:
            found = json.loads(source)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("key"), str):
            raise Refusal(f"{name}, line {number}: expected a JSON object with “key”, “text” and “tags”.")
        tags = found.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Refusal(f"{name}, line {number}: “tags” is a list of words.")
        yield Line(found["key"], str(found.get("text") or ""), tuple(tags))


def _check_characters(name: str, line: Line) -> None:
    # A database text holds neither; JSON can spell both.
    if re.search("[\\x00\\ud800-\\udfff]", "".join((line.key, line.text, *line.tags))):
        raise Refusal(f"{name}: the prompt {line.key!a} contains null or half characters, which are no text.")


def _joined(lines: list[Line], references: Sequence[UploadedFile], *, listed: bool) -> list[Line]:
    pictures: dict[str, UploadedFile] = {}
    for file in references:
        key = Path(file.name or "").stem
        if key in pictures:
            raise Refusal(f"Two of the pictures are called “{key}”; a prompt has one reference.")
        pictures[key] = file
    if not listed:
        return [Line(key, picture=file) for key, file in pictures.items()]
    if strangers := sorted(set(pictures) - {line.key for line in lines}):
        raise Refusal(
            f"{pictures[strangers[0]].name} belongs to no prompt of the list; its key would be “{strangers[0]}”."
        )
    return [replace(line, picture=pictures.get(line.key)) for line in lines]


def _stored(study: Study, file: UploadedFile) -> Any:
    # Under its own name, so that a refusal can say which file it means.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.name or "picture").name
        with path.open("wb") as copy:
            for chunk in file.chunks():
                copy.write(chunk)
        return store_media(study=study, path=path)
