"""Presentation copies, made before anything is offered."""

import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import Exists, OuterRef, Q

from evalhub.studies import thumbnails
from evalhub.studies.models import Media, MediaKind, Prompt, Sample, Study
from raters import locks
from raters.models import PresentationCopy
from raters.presentation import (
    OUTLINE,
    TILED,
    WHOLE,
    Canvas,
    Shape,
    Unpresentable,
    canvas,
    picture_of,
    policy,
    present,
)

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A copy that some prompt needs."""

    media: int
    size: Canvas
    policy: str


def prepare_presentation(*, study: Study) -> int:
    """Make every copy that the study's samples, and what their prompts give, lack; returns how many were made.

    Of several who are asked to at once, one does it and the others return at once.
    """
    with locks.only_one(study, "presentation") as alone:
        if not alone:
            return 0
        return sum(_make(study, wanted) for wanted in missing_copies(study))


def missing_copies(study: Study) -> list[Wanted]:
    """Which copies are still to be made, prompt by prompt."""
    copies = PresentationCopy.objects.in_force().filter(study=study)
    rows = copies.values_list("media", "policy", *Canvas._fields)
    there = {Wanted(media, Canvas(*size), policy) for media, policy, *size in rows}
    return [wanted for wanted in dict.fromkeys(_wanted(study)) if wanted not in there]


def studies_to_prepare() -> list[Study]:
    """Studies that lost the task which should have made their copies: some sample has none, or something that the
    prompt of one gives."""
    samples = Sample.objects.filter(checkpoint__study=OuterRef("pk"))
    found = Q(Exists(samples.filter(~_copied("media"))))
    for name in Prompt.GIVEN:
        pictures = samples.filter(**{f"prompt__{name}__kind": MediaKind.IMAGE})
        found |= Q(Exists(pictures.filter(~_copied(f"prompt__{name}"))))
    return list(Study.objects.filter(found))


def _copied(media: str) -> Exists:
    return Exists(PresentationCopy.objects.in_force().filter(media=OuterRef(media)))


def _wanted(study: Study) -> Iterator[Wanted]:
    facts = ("media__width", "media__height", "media__fps", "media__duration")
    rows = Sample.objects.filter(checkpoint__study=study).order_by("prompt").values_list("prompt", "media", *facts)
    given = given_by_prompts(study)
    for prompt, of_prompt in groupby(rows.iterator(chunk_size=5_000), key=lambda row: row[0]):
        shapes = {
            media: Shape(width, height, fps or 0, seconds or 0) for _, media, width, height, fps, seconds in of_prompt
        }
        size = canvas(study.modality, shapes.values(), study.presentation_edge)
        for name, media in given[prompt].items():
            yield wanted_beside(name, media, size)
        # The largest last: as long as it has no copy, the sweep sees that this prompt is not finished.
        for media in sorted(shapes, key=lambda media: (shapes[media].width * shapes[media].height, media)):
            yield Wanted(media, size, policy(study.modality, size))


def given_by_prompts(study: Study) -> dict[int, dict[str, int]]:
    """By prompt, the media of its source, mask and reference; of those that are pictures. A reference that moves is
    what machines compare with; nothing that moves can lie upon the sides."""
    given: dict[int, dict[str, int]] = defaultdict(dict)
    for name in Prompt.GIVEN:
        prompts = Prompt.objects.filter(study=study, **{f"{name}__kind": MediaKind.IMAGE})
        for prompt, media in prompts.values_list("pk", name):
            given[prompt][name] = media
    return given


def wanted_beside(name: str, media: int, size: Canvas) -> Wanted:
    """The copy of a source, mask or reference beside outputs that are shown on a canvas: it lies upon them point for
    point."""
    still = Canvas(size.width, size.height)
    return Wanted(media, still, OUTLINE if name == "mask" else policy("image", still))


def _make(study: Study, wanted: Wanted) -> bool:
    """Make one copy, the file first and then its row. False when the file cannot be shown; its row then says why."""
    media = Media.objects.get(pk=wanted.media)
    copy = PresentationCopy(study=study, media=media, policy=wanted.policy, **wanted.size._asdict())
    own = Shape(media.width, media.height)
    with _workplace() as path:
        try:
            with default_storage.open(media.path) as file:
                present(wanted.policy, file, media.format, own, wanted.size, path)
        except Unpresentable as reason:
            copy.size, copy.problem = 0, str(reason)
            log.error("Media %s of study %s cannot be shown to raters: %s", media.pk, study.slug, reason)
        else:
            copy.size = path.stat().st_size
            if thumbnails.is_too_large(media) and wanted.policy in (TILED, WHOLE):
                thumbnails.keep_thumbnail(media, picture_of(path, wanted.policy, own, wanted.size))
            _keep(copy.path, path)
    copy.save()
    return not copy.problem


@contextmanager
def _workplace() -> Iterator[Path]:
    """Where a copy is written before it is kept, with room beside it; gone again when the block ends."""
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.UPLOAD_FOLDER, suffix=".part") as folder:
        yield Path(folder, "copy")


def _keep(address: str, path: Path) -> None:
    """Move a file into storage so that it is there whole or not at all."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        path.chmod(0o644)
        if default_storage.exists(address):  # without its row: left by a process that was killed
            default_storage.delete(address)
        default_storage.save(address, _Movable(file, name=str(path)))


class _Movable(File):
    """A file that a file system storage may rename into place."""

    def temporary_file_path(self) -> str:
        return str(self.name)
