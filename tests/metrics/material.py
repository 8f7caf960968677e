"""Studies with complete submissions: small grey pictures where nothing is computed, real photographs where it is."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image

from evalhub.studies.demo import methods, photographs
from evalhub.studies.models import (
    Checkpoint,
    Media,
    MediaKind,
    Prompt,
    Sample,
    Study,
    Submission,
    SubmissionState,
)
from metrics import services
from metrics.models import Shard

SIDE = 96


def claimed(shard: Shard, worker: str = "worker") -> Shard:
    """The shard as a worker holds it."""
    claim = services.claim_shard(shard_id=shard.pk, worker=worker)
    assert claim is not None
    return claim


def finish(shard: Shard, **what: Any) -> None:
    """End a claimed shard as a worker does that has written its block."""
    study = shard.run.submission.checkpoint.study_id
    block = services.begin_file(study_id=study, path=f"studies/{study}/blocks/{shard.run_id}/{shard.pk}-{shard.token}")
    services.finish_shard(shard_id=shard.pk, token=shard.token, block=block, **what)


@dataclass(frozen=True)
class Picture:
    """A file as it lies in storage: its bytes and its size."""

    content: bytes
    width: int
    height: int

    @classmethod
    def of(cls, image: Image.Image) -> "Picture":
        file = io.BytesIO()
        image.save(file, "PNG")
        return cls(file.getvalue(), *image.size)


def grey(level: int, side: int = 8) -> Picture:
    return Picture.of(Image.new("L", (side, side), level))


def store(study: Study, picture: Picture) -> Media:
    sha256 = hashlib.sha256(picture.content).hexdigest()
    media, new = Media.objects.get_or_create(
        study=study,
        sha256=sha256,
        defaults={
            "size": len(picture.content),
            "kind": MediaKind.IMAGE,
            "format": "PNG",
            "width": picture.width,
            "height": picture.height,
        },
    )
    if new:
        default_storage.save(media.path, ContentFile(picture.content))
    return media


def make_study(references: Sequence[Picture | None], *, captions: bool = True, slug: str = "photographs") -> Study:
    """A study with one prompt per entry of `references`."""
    study = Study.objects.create(slug=slug, name=slug.title())
    for position, picture in enumerate(references):
        Prompt.objects.create(
            study=study,
            key=f"p{position:03d}",
            text=f"photograph number {position}" if captions else "",
            reference=store(study, picture) if picture else None,
            position=position,
        )
    return study


def submit(study: Study, outputs: Sequence[Picture], *, name: str = "bicubic") -> Submission:
    """A complete submission with one output per prompt, in prompt order."""
    checkpoint = Checkpoint.objects.create(study=study, name=name)
    for prompt, picture in zip(study.prompts.all(), outputs, strict=True):
        Sample.objects.create(checkpoint=checkpoint, prompt=prompt, media=store(study, picture))
    return Submission.objects.create(checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=timezone.now())


def photograph_submission(count: int, *, method: str = "bicubic", side: int = SIDE) -> Submission:
    """Crops of real photographs as references, and what a real super-resolution method makes of them."""
    prompts = photographs.prompts()[:count]
    study = make_study([Picture.of(_crop(photographs.reference(prompt), side)) for prompt in prompts])
    outputs = [methods.output(methods.METHODS[method], prompt) for prompt in prompts]
    return submit(study, [Picture.of(_crop(image, side)) for image in outputs], name=method)


def _crop(image: Image.Image, side: int) -> Image.Image:
    return image.crop((0, 0, side, side))
