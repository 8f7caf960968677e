"""Presentation copies, made before anything is offered."""

import logging
import os
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import Exists, OuterRef

from evalhub.studies.models import Media, Sample, Study
from raters import locks
from raters.models import PresentationCopy
from raters.presentation import POLICIES, Canvas, Shape, Unpresentable, canvas, present

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A copy that some prompt needs."""

    media: int
    size: Canvas


def prepare_presentation(*, study: Study) -> int:
    """Make every copy that the study's samples lack; returns how many were made.

    Of several who are asked to at once, one does it and the others return at once.
    """
    with locks.only_one(study, "presentation") as alone:
        if not alone:
            return 0
        return sum(_make(study, wanted) for wanted in missing_copies(study))


def missing_copies(study: Study) -> list[Wanted]:
    """Which copies are still to be made, prompt by prompt."""
    copies = PresentationCopy.objects.filter(study=study, policy__in=POLICIES.values())
    there = {Wanted(media, Canvas(*size)) for media, *size in copies.values_list("media", *Canvas._fields)}
    return [wanted for wanted in dict.fromkeys(_wanted(study)) if wanted not in there]


def studies_to_prepare() -> list[Study]:
    """Studies that lost the task which should have made their copies: some sample has none."""
    copies = PresentationCopy.objects.filter(media=OuterRef("media"), policy__in=POLICIES.values())
    samples = Sample.objects.filter(~Exists(copies), checkpoint__study=OuterRef("pk"))
    return list(Study.objects.filter(Exists(samples)))


def _wanted(study: Study) -> Iterator[Wanted]:
    facts = ("media__width", "media__height", "media__fps", "media__duration")
    rows = Sample.objects.filter(checkpoint__study=study).order_by("prompt").values_list("prompt", "media", *facts)
    for _, of_prompt in groupby(rows.iterator(chunk_size=5_000), key=lambda row: row[0]):
        shapes = {
            media: Shape(width, height, fps or 0, seconds or 0) for _, media, width, height, fps, seconds in of_prompt
        }
        size = canvas(study.modality, shapes.values(), study.presentation_edge)
        # The largest last: as long as it has no copy, the sweep sees that this prompt is not finished.
        for media in sorted(shapes, key=lambda media: (shapes[media].width * shapes[media].height, media)):
            yield Wanted(media, size)


def _make(study: Study, wanted: Wanted) -> bool:
    """Make one copy, the file first and then its row. False when the file cannot be shown; its row then says why."""
    media = Media.objects.get(pk=wanted.media)
    copy = PresentationCopy(study=study, media=media, policy=POLICIES[media.kind], **wanted.size._asdict())
    try:
        with default_storage.open(media.path) as file:
            content = present(media.kind, file, media.format, wanted.size)
    except Unpresentable as reason:
        copy.size, copy.problem = 0, str(reason)
        log.error("Media %s of study %s cannot be shown to raters: %s", media.pk, study.slug, reason)
    else:
        _keep(copy.path, content)
        copy.size = len(content)
    copy.save()
    return not copy.problem


def _keep(address: str, content: bytes) -> None:
    """Write a file into storage so that it is there whole or not at all."""
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=settings.UPLOAD_FOLDER, suffix=".part", delete=False) as file:
        path = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            path.chmod(0o644)
            if default_storage.exists(address):  # without its row: left by a process that was killed
                default_storage.delete(address)
            file.seek(0)
            default_storage.save(address, _Movable(file, name=str(path)))
        finally:
            path.unlink(missing_ok=True)


class _Movable(File):
    """A file that a file system storage may rename into place."""

    def temporary_file_path(self) -> str:
        return str(self.name)
