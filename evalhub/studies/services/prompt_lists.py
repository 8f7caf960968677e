"""Prompts by the file: a list of texts, a handful of pictures, or both, joined by the prompts' keys."""

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    source_text: str = ""
    tags: tuple[str, ...] = ()
    pictures: Mapping[str, UploadedFile] = field(default_factory=dict)


@transaction.atomic
def add_prompts(
    *,
    study: Study,
    actor: User,
    prompt_list: UploadedFile | None = None,
    references: Sequence[UploadedFile] = (),
    sources: Sequence[UploadedFile] = (),
    masks: Sequence[UploadedFile] = (),
) -> int:
    """Add the prompts of a list, each with the pictures named after it; without a list, one prompt per name.

    All or none of them. Returns how many.
    Raises: Refusal in a sentence that names the line or the file that does not do.
    """
    lines = read_list(prompt_list) if prompt_list else []
    pictures = _by_key({"reference": references, "source": sources, "mask": masks})
    joined = _joined(lines, pictures) if prompt_list else [Line(key, pictures=found) for key, found in pictures.items()]
    for line in joined:
        stored = {part: _stored(study, file) for part, file in line.pictures.items()}
        add_prompt(
            study=study,
            key=line.key,
            text=line.text,
            source_text=line.source_text,
            tags=line.tags,
            actor=actor,
            **stored,
        )
    return len(joined)


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
        tags = tuple((row.get("tags") or "").split())
        yield Line(row["key"] or "", row.get("text") or "", row.get("source_text") or "", tags)


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
        yield Line(found["key"], str(found.get("text") or ""), str(found.get("source_text") or ""), tuple(tags))


def _check_characters(name: str, line: Line) -> None:
    # A database text holds neither; JSON can spell both.
    if re.search("[\\x00\\ud800-\\udfff]", "".join((line.key, line.text, line.source_text, *line.tags))):
        raise Refusal(f"{name}: the prompt {line.key!a} contains null or half characters, which are no text.")


def _by_key(files: Mapping[str, Sequence[UploadedFile]]) -> dict[str, dict[str, UploadedFile]]:
    """The pictures of each prompt, by what they are to it."""
    pictures: dict[str, dict[str, UploadedFile]] = {}
    for part, given in files.items():
        for file in given:
            key = Path(file.name or "").stem
            if part in pictures.setdefault(key, {}):
                raise Refusal(f"Two of the pictures are called “{key}”; a prompt has one {part}.")
            pictures[key][part] = file
    return pictures


def _joined(lines: list[Line], pictures: Mapping[str, Mapping[str, UploadedFile]]) -> list[Line]:
    if strangers := sorted(set(pictures) - {line.key for line in lines}):
        [name, *_] = [file.name for file in pictures[strangers[0]].values()]
        raise Refusal(f"{name} belongs to no prompt of the list; its key would be “{strangers[0]}”.")
    return [replace(line, pictures=pictures.get(line.key, {})) for line in lines]


def _stored(study: Study, file: UploadedFile) -> Any:
    # Under its own name, so that a refusal can say which file it means.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.name or "picture").name
        with path.open("wb") as copy:
            for chunk in file.chunks():
                copy.write(chunk)
        return store_media(study=study, path=path)
