"""The prompts of a draft: read from a list and looked at, then kept or put away; typed; removed."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction

from evalhub.problems import Conflict, Refusal, TooLarge
from evalhub.studies.models import (
    LogEntry,
    Media,
    MediaKind,
    Prompt,
    PromptList,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    User,
)
from evalhub.studies.services.delivery import Files, chosen, unpacked
from evalhub.studies.services.media import CHUNK, drop_files, store_media
from evalhub.studies.services.prompt_lists import (
    PARTS,
    Line,
    Problem,
    Reading,
    attach,
    check_lines,
    is_list,
    key_problem,
    lines_of_pictures,
    read_list,
)

MOST_LIST_BYTES = 64 * 2**20
LONGEST_LOG = 20  # so many keys are named in the log


def read_prompts(
    *,
    study: Study,
    actor: User,
    prompt_list: UploadedFile | None = None,
    files: Sequence[UploadedFile] = (),
    archive: UploadedFile | None = None,
    references: Sequence[UploadedFile] = (),
    sources: Sequence[UploadedFile] = (),
    masks: Sequence[UploadedFile] = (),
) -> PromptList:
    """Read a list with its files, check every one of them, and have it wait for an owner's look; see `keep_prompts`.

    A list that waited until now is put away. Without a list, pictures make one prompt per name.
    Raises: Conflict when the study takes no prompts any more; Refusal where nothing can be read at all. Whatever else
        does not do is noted in the list, by line.
    """
    require_draft(study)
    apart = {"reference": chosen(references), "source": chosen(sources), "mask": chosen(masks)}
    apart = {part: {f"{part}s/{name}": opened for name, opened in found.items()} for part, found in apart.items()}
    with unpacked(archive) if archive else nullcontext(chosen(files)) as rest:
        if prompt_list is not None:
            reading = read_list(prompt_list.name or "The list", _bytes_of(prompt_list.name or "", prompt_list.open()))
        elif archive:
            reading, rest = _list_inside(rest)
        else:
            reading = Reading(lines_of_pictures(apart))
        check_lines(reading)
        attach(reading, rest, apart)
        everything = {**rest, **{path: opened for found in apart.values() for path, opened in found.items()}}
        lines = [_stored(study, line, everything, reading) for line in reading.lines]
    return _wait(study, actor, lines, reading.problems)


def add_prompts(*, study: Study, actor: User, **given: Any) -> int:
    """Read a list and keep it at once, all or none of it; for programs, which look at nothing. Returns how many.

    Args: given: as of `read_prompts`.
    Raises: Refusal with every problem in its details, and errors as of `read_prompts` and `keep_prompts`.
    """
    waiting = read_prompts(study=study, actor=actor, **given)
    try:
        if waiting.problems:
            first = waiting.problems[0]
            where = f"line {first['line']}: " if first["line"] else ""
            raise Refusal(
                f"Nothing was added, for the list has {len(waiting.problems):,} "
                f"problem{'' if len(waiting.problems) == 1 else 's'}; {where}{first['says']}",
                problems=waiting.problems,
            )
        return keep_prompts(study=study, actor=actor)
    finally:
        discard_prompts(study=study)


@transaction.atomic
def keep_prompts(*, study: Study, actor: User, instead: bool = False) -> int:
    """Make the list that waits the study's prompts, after those that are there or instead of them. Returns how many.

    Raises: Conflict when there is none, when a key is taken, or when the study's prompts may not change; Refusal for
        one with problems.
    """
    locked = require_draft(study)
    waiting = PromptList.objects.select_for_update().filter(study=locked).first()
    if waiting is None:
        raise Conflict("No list of prompts waits here; it was kept or put away meanwhile. Choose it again.")
    if waiting.problems:
        raise Refusal(f"The list has {len(waiting.problems):,} problems; mend them, and choose the list again.")
    if instead:
        _remove(locked, locked.prompts.all(), actor)
    count = locked.prompts.count()
    fields = ("key", "text", "source_text", "tags")
    rows = [
        Prompt(
            study=locked,
            position=count + place,
            **{name: line[name] for name in fields},
            **{f"{part}_id": line[part] for part in PARTS},
        )
        for place, line in enumerate(waiting.lines)
    ]
    try:
        with transaction.atomic():
            Prompt.objects.bulk_create(rows, batch_size=1000)
    except IntegrityError:
        taken = clashes(waiting)
        raise Conflict(
            f"This study has a prompt “{taken[0] if taken else ''}” already; choose other keys, or replace its prompts."
        ) from None
    waiting.delete()
    _log(locked, actor, "added prompts", [row.key for row in rows])
    return len(rows)


def clashes(waiting: PromptList) -> list[str]:
    """The keys of the list that the study has already."""
    keys = [line["key"] for line in waiting.lines]
    return list(waiting.study.prompts.filter(key__in=keys).order_by("position", "id").values_list("key", flat=True))


def discard_prompts(*, study: Study) -> None:
    """Put away the list that waits, and the files that only it had. Nothing happens where none waits."""
    with transaction.atomic():
        waiting = PromptList.objects.select_for_update().filter(study=study).first()
        if waiting is None:
            return
        waiting.delete()
        _drop_media(study, {line[part] for line in waiting.lines for part in PARTS if line[part]})


@transaction.atomic
def add_prompt(
    *,
    study: Study,
    key: str,
    text: str = "",
    source_text: str = "",
    tags: Sequence[str] = (),
    reference: Media | None = None,
    source: Media | None = None,
    mask: Media | None = None,
    actor: User | None = None,
) -> Prompt:
    """One more prompt at the end of a draft.

    Raises: Conflict once the study is published or a submission is complete (it would lack this prompt), or when the
        key is taken; Refusal for a key that no file could be named after.
    """
    if problem := key_problem(key):
        raise Refusal(problem)
    locked = require_draft(study)
    try:
        with transaction.atomic():
            prompt = Prompt.objects.create(
                study=study,
                key=key,
                text=text,
                source_text=source_text,
                tags=list(tags),
                reference=reference,
                source=source,
                mask=mask,
                position=Prompt.objects.filter(study=study).count(),
            )
    except IntegrityError:
        raise Conflict(f"This study has a prompt “{key}” already; choose another key.") from None
    LogEntry.write(study=locked, actor=actor, verb="added prompt", subject=key)
    return prompt


def type_prompt(
    *,
    study: Study,
    actor: User,
    key: str,
    text: str = "",
    source_text: str = "",
    tags: str = "",
    **parts: UploadedFile | None,
) -> Prompt:
    """One prompt by hand, with its files. Errors as of `add_prompt`, and of a file that does not do."""
    require_draft(study)
    reading = Reading([Line(0, key, text, source_text, tuple(tags.split()))])
    check_lines(reading)
    files = {part: file for part, file in parts.items() if file is not None}
    opened: Files = chosen(list(files.values()), [f"{part}/{file.name}" for part, file in files.items()])
    line = Line(0, key, files={part: f"{part}/{file.name}" for part, file in files.items()})
    stored = _stored(study, line, opened, reading)
    if reading.problems:
        raise Refusal(" ".join(problem.says for problem in reading.problems))
    media = Media.objects.in_bulk([stored[part] for part in PARTS if stored[part]])
    return add_prompt(
        study=study,
        actor=actor,
        key=key,
        text=text,
        source_text=source_text,
        tags=tags.split(),
        **{part: media.get(stored[part]) for part in PARTS},
    )


@transaction.atomic
def remove_prompts(*, study: Study, actor: User, keys: Sequence[str] | None = None) -> int:
    """Remove these prompts of a draft, or all of them. Returns how many.

    Raises: Conflict once the study is published, or outputs were promised for its prompts.
    """
    locked = require_draft(study)
    prompts = locked.prompts.all() if keys is None else locked.prompts.filter(key__in=keys)
    return _remove(locked, prompts, actor)


def _remove(study: Study, prompts: Any, actor: User) -> int:
    """In a transaction that holds the study's row."""
    if Submission.objects.filter(checkpoint__study=study).exists():
        raise Conflict(
            "Outputs were submitted for this study's prompts, so none can be removed; make a new study for other ones."
        )
    gone = list(prompts.values_list("key", *(f"{part}_id" for part in PARTS)))
    if not gone:
        return 0
    prompts.delete()
    for position, prompt in enumerate(study.prompts.all()):
        if prompt.position != position:
            Prompt.objects.filter(pk=prompt.pk).update(position=position)
    _drop_media(study, {media for _, *parts in gone for media in parts if media})
    _log(study, actor, "removed prompts", [key for key, *_ in gone])
    return len(gone)


def require_draft(study: Study) -> Study:
    """The study, its row locked where a transaction is open; Conflict when its prompts may not change any more."""
    locks = transaction.get_connection().in_atomic_block
    rows = Study.objects.select_for_update(no_key=True) if locks else Study.objects.all()
    found = rows.get(pk=study.pk)
    if found.state != StudyState.DRAFT:
        raise Conflict("This study is published, which froze its prompts; make a new study for other prompts.")
    if Submission.objects.filter(checkpoint__study=study, state=SubmissionState.COMPLETE).exists():
        raise Conflict(
            "A submission to this study is complete and would lack the new prompt; make a new study for other prompts."
        )
    return found


def _list_inside(files: Files) -> tuple[Reading, Files]:
    """Read the one list in a zip; the other files of it."""
    lists = [path for path in files if is_list(path)]
    if len(lists) != 1:
        raise Refusal(
            f"The zip needs one list of prompts in it (.csv or .jsonl), and holds {len(lists)}; "
            "put in one that names all its files."
        )
    with files[lists[0]]() as file:
        content = _bytes_of(lists[0], file)
    # What desktops put into folders on their own is nobody's prompt.
    rest = {
        path: opened
        for path, opened in files.items()
        if path != lists[0] and not {"__MACOSX", ".DS_Store", "Thumbs.db"} & set(PurePosixPath(path).parts)
    }
    return read_list(PurePosixPath(lists[0]).name, content), rest


def _bytes_of(name: str, file: Any) -> bytes:
    content: bytes = file.read(MOST_LIST_BYTES + 1)
    if len(content) > MOST_LIST_BYTES:
        raise TooLarge(f"{name} has more than the {MOST_LIST_BYTES:,} bytes that a list may have.")
    return content


def _stored(study: Study, line: Line, files: Files, reading: Reading) -> dict[str, Any]:
    """The line as it waits, its files kept as media; what does not do is noted."""
    media: dict[str, Media] = {}
    for part, path in line.files.items():
        try:
            media[part] = _store(study, path, files)
        except Refusal as refusal:
            reading.refuse(line.number, refusal.sentence)
    mask, source = media.get("mask"), media.get("source")
    if mask is not None and mask.kind != MediaKind.IMAGE:
        reading.refuse(line.number, f"The mask of “{line.key}” is no picture.")
    if mask is not None and source is None and "source" not in line.files:
        reading.refuse(line.number, f"The prompt “{line.key}” has a mask and no source that it could lie over.")
    elif mask is not None and source is not None and (mask.width, mask.height) != (source.width, source.height):
        reading.refuse(
            line.number,
            f"The mask of “{line.key}” is {mask.width}×{mask.height} pixels, and its source {source.width}×"
            f"{source.height}; a mask has its source's size.",
        )
    given = {name: value for name, value in asdict(line).items() if name in ("key", "text", "source_text")}
    parts = {part: media[part].pk if part in media else None for part in PARTS}
    return {"line": line.number, **given, "tags": list(line.tags), **parts}


def _store(study: Study, path: str, files: Files) -> Media:
    # Under its own name, so that a refusal can say which file it means.
    with tempfile.TemporaryDirectory() as folder, files[path]() as file:
        copy = Path(folder) / PurePosixPath(path).name
        with copy.open("wb") as written:
            while chunk := file.read(CHUNK):
                written.write(chunk)
        return store_media(study=study, path=copy)


def _wait(study: Study, actor: User, lines: list[dict[str, Any]], problems: Sequence[Problem]) -> PromptList:
    noted = sorted((asdict(problem) for problem in problems), key=lambda problem: problem["line"] or 10**9)
    with transaction.atomic():
        require_draft(study)
        before = PromptList.objects.filter(study=study).first()
        waiting, _ = PromptList.objects.update_or_create(
            study=study, defaults={"lines": _writable(lines), "problems": _writable(noted), "created_by": actor}
        )
        if before is not None:
            kept = _media_of(waiting)
            _drop_media(study, _media_of(before) - kept)
    return waiting


def _media_of(waiting: PromptList) -> set[int]:
    return {line[part] for line in waiting.lines for part in PARTS if line[part]}


def _writable(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As JSON that PostgreSQL takes: without null and half characters, which are noted as problems already."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "�").encode("utf-8", "replace").decode()
        return [clean(each) for each in value] if isinstance(value, list) else value

    return [{name: clean(value) for name, value in row.items()} for row in rows]


def _drop_media(study: Study, ids: set[int]) -> None:
    """Remove these files unless something else holds them. Where outputs come in, one may be about to: all stay."""
    if not ids or Submission.objects.filter(checkpoint__study=study).exists():
        return
    held = {
        media
        for part in PARTS
        for media in Prompt.objects.filter(study=study, **{f"{part}__in": ids}).values_list(part, flat=True)
    }
    waiting = PromptList.objects.filter(study=study).first()
    held |= _media_of(waiting) if waiting else set()
    dropped = list(Media.objects.filter(study=study, pk__in=ids - held))
    Media.objects.filter(pk__in=[media.pk for media in dropped]).delete()
    drop_files([media.path for media in dropped])


def _log(study: Study, actor: User, verb: str, keys: Sequence[str]) -> None:
    more = f" and {len(keys) - LONGEST_LOG:,} more" if len(keys) > LONGEST_LOG else ""
    LogEntry.write(
        study=study,
        actor=actor,
        verb=verb,
        subject=f"{len(keys):,} prompts" if len(keys) != 1 else keys[0],
        keys=", ".join(keys[:LONGEST_LOG]) + more,
    )
