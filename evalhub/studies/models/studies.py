"""A study, and the questions that its raters answer."""

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from evalhub.studies.models.accounts import User
from evalhub.studies.models.constraints import one_of
from evalhub.studies.models.prompts import Prompt
from evalhub.studies.models.submissions import Checkpoint, SubmissionState


class Modality(models.TextChoices):
    IMAGE = "image", "Images"
    VIDEO = "video", "Videos"


class StudyState(models.TextChoices):
    DRAFT = "draft", "Draft"
    OPEN = "open", "Open"
    PAUSED = "paused", "Paused"
    CLOSED = "closed", "Closed"


class StudyQuerySet(models.QuerySet["Study"]):
    def seen_by(self, user: User) -> "StudyQuerySet":
        """Studies this person is a member of; a superuser sees every study."""
        if user.is_superuser:
            return self.all()
        return self.filter(memberships__user=user).distinct()

    def with_counts(self) -> "StudyQuerySet":
        """Adds `prompt_count`, `checkpoint_count` and `complete_count`, counted apart: joined, they would multiply."""
        complete = Checkpoint.objects.filter(submission__state=SubmissionState.COMPLETE)
        return self.annotate(
            prompt_count=_count(Prompt.objects.all()),
            checkpoint_count=_count(Checkpoint.objects.all()),
            complete_count=_count(complete),
        )


def _count(rows: models.QuerySet[Any]) -> Coalesce:
    """How many of these rows belong to the study of the outer query."""
    counted = rows.filter(study=OuterRef("pk")).order_by().values("study").annotate(found=Count("pk"))
    return Coalesce(Subquery(counted.values("found")), 0)


class Study(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    modality = models.CharField(max_length=8, choices=Modality, default=Modality.IMAGE)
    state = models.CharField(max_length=8, choices=StudyState, default=StudyState.DRAFT)
    consent = models.TextField(blank=True, help_text="Markdown. A rater agrees to this before her first comparison.")
    consent_version = models.PositiveSmallIntegerField(default=1)
    instructions = models.TextField(blank=True, help_text="Markdown, shown before the first comparison.")
    # The longest side, in pixels, that raters are shown; both sides of a comparison are encoded at equal dimensions.
    presentation_edge = models.PositiveIntegerField(default=4096)
    works_without_javascript = models.BooleanField(default=False)
    votes_per_rater = models.PositiveIntegerField(null=True, blank=True, help_text="A rater is done after so many.")
    is_demo = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    published_at = models.DateTimeField(null=True, blank=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            one_of("modality", Modality, "study_modality_known"),
            one_of("state", StudyState, "study_state_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def takes_votes(self) -> bool:
        return self.state == StudyState.OPEN


class Criterion(models.Model):
    """One question that every comparison of the study answers."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="criteria")
    key = models.SlugField(max_length=32)
    name = models.CharField(max_length=80)
    question = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    allows_tie = models.BooleanField(default=True)
    allows_both_bad = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "criteria"
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "key"], name="criterion_key_once_per_study")]

    def __str__(self) -> str:
        return self.name
