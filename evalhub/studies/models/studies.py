"""A study, and the questions that its raters answer."""

import uuid
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
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


class ClosedBecause(models.TextChoices):
    """Why a study is closed."""

    OWNER = "owner", "An owner closed it"
    BUDGET = "budget", "All the answers it asked for are there"
    SEPARATION = "separation", "The order of its contestants is settled"


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
    presentation_edge = models.PositiveIntegerField(default=16_384)
    works_without_javascript = models.BooleanField(default=False)
    requires_watching = models.BooleanField(
        default=False, db_default=False, help_text="No answer before both videos were watched to their end."
    )
    is_sensitive = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Outputs stay blurred for a rater until she says that she agrees to see them.",
    )
    reason_tags = ArrayField(
        models.CharField(max_length=40),
        default=list,
        db_default=[],
        blank=True,
        help_text="What a rater may give as reasons for an answer.",
    )
    asks_region = models.BooleanField(
        default=False, db_default=False, help_text="A rater may mark where the worse side is wrong."
    )
    asks_comment = models.BooleanField(default=False, db_default=False, help_text="A rater may add a few words.")
    votes_per_rater = models.PositiveIntegerField(null=True, blank=True, help_text="A rater is done after so many.")
    votes_per_rater_per_day = models.PositiveIntegerField(
        null=True, blank=True, help_text="A rater goes on tomorrow after so many; days are those of UTC."
    )
    vote_budget = models.PositiveIntegerField(
        null=True, blank=True, help_text="The study closes itself at so many answers, controls apart."
    )
    closes_when_separated = models.BooleanField(
        default=False, help_text="The study closes itself when each contestant is told from the next in every ranking."
    )
    publishes_late = models.BooleanField(
        default=False, help_text="Until the study is closed, only its owners see ratings and what people answered."
    )
    contestants_registered_at = models.DateTimeField(
        null=True, blank=True, help_text="Checkpoints begun later are neither offered to raters nor ranked."
    )
    closed_because = models.CharField(max_length=12, choices=ClosedBecause, default="", blank=True)
    answers_at_closing = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many answers there were when the study closed itself."
    )
    licence = models.CharField(
        max_length=200, blank=True, help_text="Under what terms its prompts and outputs may be used."
    )
    quota_bytes = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="How many bytes of outputs the study takes; empty: as many as there is room for.",
    )
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
            models.CheckConstraint(
                condition=(Q(votes_per_rater_per_day=None) | Q(votes_per_rater_per_day__gt=0))
                & (Q(vote_budget=None) | Q(vote_budget__gt=0)),
                name="study_limits_are_positive",
            ),
            models.CheckConstraint(
                condition=Q(closed_because="") | Q(state=StudyState.CLOSED, closed_because__in=ClosedBecause.values),
                name="study_closed_for_a_known_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def takes_votes(self) -> bool:
        return self.state == StudyState.OPEN

    @property
    def hides_ratings(self) -> bool:
        """Whether ratings, and what people answered, are for owners only as yet."""
        return self.publishes_late and self.state != StudyState.CLOSED


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
