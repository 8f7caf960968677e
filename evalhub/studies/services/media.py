"""Files: from a stream to a checked file, and from there into storage, addressed by what they hold."""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction

from evalhub.problems import Refusal, TooLarge
from evalhub.studies.inspection import Facts, Undecodable, inspect
from evalhub.studies.models import Media, MediaKind, Study, media_path

CHUNK = 2**20
STALE_SECONDS = 3600.0
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Stream(Protocol):
    """Whatever bytes can be read from: a request, an open file."""

    def read(self, size: int, /) -> bytes: ...


class CutOff(Refusal):
    """The connection broke before the whole body was here."""

    status = 400


class NoRoom(Refusal):
    """The site's disk or bucket is full; nothing was kept of what was sent."""

    status = 507


@dataclass(frozen=True)
class Upload:
    """A file that arrived whole: where it lies for now, its SHA-256 in hex and its size in bytes."""

    path: Path
    sha256: str
    size: int


@contextmanager
def uploaded(stream: Stream, most: int) -> Iterator[Upload]:
    """Write a stream to a file of its own in the upload folder, gone again when the block ends.

    Reads at most one byte more than `most`, so a stream that is too long shows in the size.
    Raises: NoRoom when the disk is full.
    """
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    path = settings.UPLOAD_FOLDER / f"{uuid4().hex}.part"
    try:
        yield written_down(stream, path, most + 1)
    finally:
        path.unlink(missing_ok=True)  # storage may have moved it away


@contextmanager
def room_for_uploads() -> Iterator[Path]:
    """A folder in the upload folder for files on their way, gone again when the block ends, with what is left in it."""
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.UPLOAD_FOLDER, suffix=".part") as name:
        yield Path(name)


def written_down(stream: Stream, path: Path, most: int) -> Upload:
    """A file of what a stream gives until it ends, or of its first `most` bytes. Raises: NoRoom."""
    digest, size = hashlib.sha256(), 0
    with no_room_said(), path.open("wb") as file:
        while chunk := stream.read(min(CHUNK, most - size)):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return Upload(path, digest.hexdigest(), size)


@contextmanager
def no_room_said() -> Iterator[None]:
    """Say a full disk in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise NoRoom(
            "The site has no room left for this file, so nothing of it was kept; "
            "tell the operator, and send the same files again once there is room."
        ) from error


def sweep_uploads() -> None:
    """Remove what a killed process left in the upload folder: what nobody has written to for an hour."""
    for path in settings.UPLOAD_FOLDER.glob("*.part"):
        try:
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except FileNotFoundError:  # another process swept it first
            continue


def store_media(*, study: Study, path: Path) -> Media:
    """Check one local file, keep a copy of it for the study, and return what is known of it.

    A study of videos takes pictures too here, since a video may be asked for by a picture.
    Raises: Refusal, in a sentence that names the file, when it is not one that the study can take; NoRoom.
    """
    if path.stat().st_size > settings.MAX_FILE_BYTES:
        raise TooLarge(f"{path.name} is larger than the {settings.MAX_FILE_BYTES:,} bytes that are taken per file.")
    with path.open("rb") as stream, uploaded(stream, settings.MAX_FILE_BYTES) as upload:
        known = Media.objects.filter(study=study, sha256=upload.sha256).first()
        if known is not None:
            return known
        try:
            facts = inspect(upload.path, sorted({MediaKind.IMAGE.value, study.modality}))
        except Undecodable as reason:
            raise Refusal(f"{path.name} {reason}.") from None
        return keep(study=study, upload=upload, facts=facts)


def keep(*, study: Study, upload: Upload, facts: Facts) -> Media:
    """Put a checked upload into storage and write its row."""
    put_away(study=study, upload=upload)
    with transaction.atomic():
        return record(study=study, upload=upload, facts=facts)


def put_away(*, study: Study, upload: Upload) -> None:
    """Put a checked upload into storage, whole and on disk, before any row speaks of it.

    Whatever lies at the address is the same bytes, or was left by a process that was killed: it is replaced, at once.
    """
    with no_room_said(), upload.path.open("rb") as file:
        os.fsync(file.fileno())
        default_storage.save(media_path(study.pk, upload.sha256), _Movable(file, name=str(upload.path)))


def record(*, study: Study, upload: Upload, facts: Facts) -> Media:
    """The row of a file that is in storage. Of two who write it at once the second waits and reads the first's."""
    row = Media(study=study, sha256=upload.sha256, size=upload.size, **asdict(facts))
    Media.objects.bulk_create([row], ignore_conflicts=True)
    return Media.objects.get(study=study, sha256=upload.sha256)


def drop_files(paths: Sequence[str]) -> None:
    """Delete these files from storage, once the rows that named them are gone for good."""

    def drop() -> None:
        for path in paths:
            default_storage.delete(path)

    transaction.on_commit(drop)


class _Movable(File):
    """A file that a file system storage may rename into place, which leaves no half of a file behind when killed."""

    def temporary_file_path(self) -> str:
        return str(self.name)
