"""Studies with real files, written straight into the tables and the storage that raters' services read."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone
from PIL import Image

from evalhub.studies.models import (
    Checkpoint,
    Criterion,
    Media,
    Membership,
    Prompt,
    Role,
    Sample,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    User,
)
from raters import services
from raters.models import Comparison, Enrolment, PresentationCopy

Picture = Callable[[int, int], Image.Image]


@dataclass
class Desk:
    """A study and what tests do to it."""

    study: Study
    prompts: list[Prompt]
    checkpoints: list[Checkpoint] = field(default_factory=list)
    samples: dict[tuple[Any, int], Sample] = field(default_factory=dict)
    copies: dict[int, Any] = field(default_factory=dict)

    def contestant(self, name: str, draw: Picture | None = None, **save: Any) -> Checkpoint:
        """A complete submission: `draw(prompt number, contestant number)` for each prompt, saved by Pillow as told."""
        number = len(self.checkpoints)
        checkpoint = Checkpoint.objects.create(study=self.study, name=name)
        Submission.objects.create(checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=timezone.now())
        for place, prompt in enumerate(self.prompts):
            picture = (draw or noise)(place, number)
            buffer = io.BytesIO()
            picture.save(buffer, **{"format": "PNG", **save})
            media = store(self.study, buffer.getvalue(), str(save.get("format", "PNG")).lower())
            Sample.objects.create(checkpoint=checkpoint, prompt=prompt, media=media)
        self.checkpoints.append(checkpoint)
        return checkpoint

    def rater(self, name: str) -> Enrolment:
        """A rater who has begun."""
        user = User.objects.create_user(name, password="a-long-password")
        Membership.objects.create(study=self.study, user=user, role=Role.RATER)
        enrolment = services.enrol(study=self.study, user=user)
        services.consent(enrolment=enrolment, version=self.study.consent_version)
        return services.start(enrolment=enrolment)


def noise(place: int, contestant: int) -> Image.Image:
    """48×32 pixels that differ for every prompt and contestant."""
    random = np.random.default_rng([place, contestant])
    return Image.fromarray(random.integers(0, 255, (32, 48, 3), dtype=np.uint8))


def png(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def store(study: Study, content: bytes, form: str) -> Media:
    digest = hashlib.sha256(content).hexdigest()
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
    media, made = Media.objects.get_or_create(
        study=study,
        sha256=digest,
        defaults={"size": len(content), "kind": "image", "format": form, "width": width, "height": height},
    )
    if made:
        default_storage.save(media.path, ContentFile(content))
    return media


def make_desk(slug: str = "study", prompts: int = 4, **values: object) -> Desk:
    study = Study.objects.create(
        slug=slug, name="Which is sharper", state=StudyState.OPEN, consent="I take part **freely**.", **values
    )
    Criterion.objects.create(study=study, key="quality", name="Quality", question="Which picture is better?")
    return Desk(
        study,
        [
            Prompt.objects.create(study=study, key=f"prompt-{n}", text=f"A photograph, number {n}.", position=n)
            for n in range(prompts)
        ],
    )


@pytest.fixture
def desk(db: None) -> Desk:
    """Three contestants on four prompts, with their copies made."""
    desk = make_desk()
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    return desk


def owner_of(desk: Desk, name: str = "olga") -> User:
    """An owner of its study, always the same one by this name."""
    user, made = User.objects.get_or_create(username=name)
    if made:
        Membership.objects.create(study=desk.study, user=user, role=Role.OWNER)
    return user


@pytest.fixture
def owner(desk: Desk) -> Client:
    """The owner's browser."""
    client = Client()
    client.force_login(owner_of(desk))
    return client


@pytest.fixture
def bare_desk(db: None) -> Callable[..., Desk]:
    """Makes studies without contestants."""
    return make_desk


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all of it at the same moment, each in a thread with a database connection of its own; what each returned."""
    gate = Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        try:
            gate.wait(10)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(30) for future in [pool.submit(run, work) for work in works]]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Which tasks were asked for, instead of asking a worker."""
    asked: list[tuple[Any, ...]] = []

    def note(name: str, *arguments: Any, countdown: float | None = None) -> None:
        asked.append((name, *arguments))

    monkeypatch.setattr("raters.services.fitting.enqueue", note)
    monkeypatch.setattr("raters.services.enrolling.enqueue", note)
    monkeypatch.setattr("raters.services.margins.enqueue", note)
    monkeypatch.setattr("raters.services.on_demand.enqueue", note)
    monkeypatch.setattr("raters.tasks.enqueue", note)
    cache.clear()
    return asked


def offer(desk: Desk, enrolment: Enrolment) -> Comparison:
    comparison = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert comparison is not None
    return comparison


def copies_of(comparison: Comparison) -> tuple[PresentationCopy, PresentationCopy]:
    """What is shown on the left and on the right; only imported comparisons have none."""
    assert comparison.left_copy is not None
    assert comparison.right_copy is not None
    return comparison.left_copy, comparison.right_copy


def cast(comparison: Comparison, choice: str = "left", **more: Any) -> Comparison:
    revision = more.pop("revision", services.next_revision(comparison))
    return services.cast_vote(
        token=comparison.token, rater=comparison.rater, answers={"quality": choice}, revision=revision, **more
    )
