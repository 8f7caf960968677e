"""Writing a study into one tar file: rows as JSON lines, then the files that they name."""

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from evalhub.leaderboard.archive.belongings import FORMAT, PACKED, Belonging, schema
from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Media, Study, User
from raters.models import PresentationCopy

AT_ONCE = 5_000


def pack(*, study: Study, path: Path, actor: User | None = None) -> dict[str, int]:
    """Write the study to `path`, which appears when it is whole; how many rows of each table it holds.

    All rows are of one moment: votes cast meanwhile are not in it.

    Args: actor: who takes it away, for the log; None for whoever runs the command.
    Raises: Refusal when there is a file at `path` already, or one of the study's own files is not in the storage.
    """
    if path.exists():
        raise Refusal(f"There is a file at {path} already; choose another name, or move it away.")
    partial = path.with_name(f"{path.name}.partial")
    try:
        with tarfile.open(partial, "w") as tar:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                counts = {belonging.model: _rows(tar, belonging, study) for belonging in PACKED}
                files = list(_files(study))
            _add(tar, "study.json", _encoded({**_about(study), "counts": counts}))
            for name, stored in files:
                _copy(tar, name, stored)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    LogEntry.write(study=study, actor=actor, verb="packed study", subject=study, rows=sum(counts.values()))
    return counts


def _about(study: Study) -> dict[str, Any]:
    return {"format": FORMAT, "schema": schema(), "slug": study.slug, "packed_at": timezone.now()}


def _rows(tar: tarfile.TarFile, belonging: Belonging, study: Study) -> int:
    """One member per table: the names of its fields, then a line per row. Rows are spooled, since tar wants a size."""
    names = [field.attname for field in belonging.fields]
    to_people = [field.related_model is User for field in belonging.fields]
    people = dict(User.objects.values_list("pk", "username")) if any(to_people) else {}
    count = 0
    with tempfile.TemporaryFile() as spool:
        spool.write(_encoded(names) + b"\n")
        for row in belonging.rows(study).values_list(*names).iterator(AT_ONCE):
            # An archive knows accounts by their names.
            values = [people.get(value) if named else value for named, value in zip(to_people, row, strict=True)]
            spool.write(_encoded(values) + b"\n")
            count += 1
        _add_file(tar, f"rows/{belonging.model}.jsonl", spool)
    return count


def _files(study: Study) -> Iterator[tuple[str, str]]:
    """Name in the archive and path in the storage of each file."""
    for media in Media.objects.filter(study=study).order_by("pk").iterator(AT_ONCE):
        yield f"media/{media.sha256}", media.path
    for copy in PresentationCopy.objects.ready().filter(study=study).select_related("media").order_by("pk"):
        yield f"shown/{Path(copy.path).name}", copy.path


def _copy(tar: tarfile.TarFile, name: str, stored: str) -> None:
    try:
        with default_storage.open(stored) as source:
            entry = tarfile.TarInfo(name)
            entry.size = source.size
            tar.addfile(entry, source)
    except FileNotFoundError:
        raise Refusal(f"The study's file {stored} is not in the storage, so nothing was packed.") from None


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, spool: Any) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = spool.tell()
    spool.seek(0)
    tar.addfile(entry, spool)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """What JSON does not know, to the last digit."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be packed.")
