"""Studies with complete submissions, as rows and, where pixels matter, as real photographs in storage."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import redis
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from PIL import Image

from evalhub.studies.models import (
    Checkpoint,
    Media,
    MediaKind,
    Membership,
    Prompt,
    Role,
    Sample,
    Study,
    Submission,
    SubmissionState,
    User,
)


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


@pytest.fixture
def grey_submission() -> Callable[..., Submission]:
    """Call it for a complete submission of small grey pictures: for tests that compute nothing."""

    def make(count: int = 5, *, references: bool = True, captions: bool = True, side: int = 8) -> Submission:
        originals = [grey(level) if references else None for level in range(count)]
        study = make_study(originals, captions=captions)
        return submit(study, [grey(100 + level, side) for level in range(count)])

    return make


@pytest.fixture
def researcher() -> User:
    return User.objects.create_user("rita", password="a long password")


@pytest.fixture
def join(researcher: User) -> Callable[[Study], User]:
    def as_researcher(study: Study) -> User:
        Membership.objects.create(study=study, user=researcher, role=Role.RESEARCHER)
        return researcher

    return as_researcher


@pytest.fixture
def doorbell() -> Iterator["redis.Redis"]:
    """The test run's Redis with empty queues."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.delete("gpu", "default")
        yield client
        client.delete("gpu", "default")
