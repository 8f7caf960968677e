"""The contestants, and the deliveries of their outputs."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models.accounts import User
from evalhub.studies.models.media import Media
from evalhub.studies.models.prompts import Prompt


class SubmissionState(models.TextChoices):
    INCOMPLETE = "incomplete", "Incomplete"
    COMPLETE = "complete", "Complete"


class EntryState(models.TextChoices):
    MISSING = "missing", "Missing"
    RECEIVED = "received", "Received"
    BAD = "bad", "Bad"


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def registered(self) -> "CheckpointQuerySet":
        """Those that may be ranked: all, or once the contestants are registered, those begun until then.

        A withdrawn one stays among them, for its votes still tell the others apart.
        """
        begun_in_time = Q(created_at__lte=F("study__contestants_registered_at"))
        return self.filter(Q(study__contestants_registered_at=None) | begun_in_time)

    def competing(self) -> "CheckpointQuerySet":
        """Those that raters may be offered: registered, wholly delivered, not withdrawn."""
        return self.registered().filter(withdrawn_at=None, submission__state=SubmissionState.COMPLETE)


class Checkpoint(models.Model):
    """One contestant, and the cost that its own team reports for it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="checkpoints")
    family = models.CharField(max_length=120, blank=True, help_text="What its steps have in common; one curve each.")
    name = models.CharField(max_length=120)
    step = models.PositiveBigIntegerField(null=True, blank=True)
    latency_p50 = models.FloatField(null=True, blank=True, help_text="Seconds per output, self-reported.")
    latency_p95 = models.FloatField(null=True, blank=True, help_text="Seconds per output, self-reported.")
    price = models.FloatField(null=True, blank=True, help_text="US dollars per output, self-reported.")
    gpu = models.CharField(max_length=120, blank=True)
    dtype = models.CharField(max_length=32, blank=True)
    notes = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal_reason = models.TextField(blank=True)

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "step"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "name", "step"], name="checkpoint_once_per_study", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=(Q(latency_p50=None) | Q(latency_p50__gte=0))
                & (Q(latency_p95=None) | Q(latency_p95__gte=0))
                & (Q(price=None) | Q(price__gte=0)),
                name="checkpoint_facts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None, withdrawal_reason="")
                | (Q(withdrawn_at__isnull=False) & ~Q(withdrawal_reason="")),
                name="checkpoint_withdrawn_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name if self.step is None else f"{self.name} @ {self.step:,}"

    @property
    def is_registered(self) -> bool:
        """Whether it may be ranked; as `registered`, for one."""
        registered_at = self.study.contestants_registered_at
        return registered_at is None or self.created_at <= registered_at


class Submission(models.Model):
    """One delivery of a checkpoint's outputs. Complete means immutable: changed outputs are a new checkpoint."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    checkpoint = models.OneToOneField(Checkpoint, models.CASCADE, related_name="submission")
    state = models.CharField(max_length=12, choices=SubmissionState, default=SubmissionState.INCOMPLETE)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state=SubmissionState.INCOMPLETE, completed_at=None)
                | Q(state=SubmissionState.COMPLETE, completed_at__isnull=False),
                name="submission_complete_when_it_says_so",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} ({self.state})"

    @property
    def is_complete(self) -> bool:
        return self.state == SubmissionState.COMPLETE


class ManifestEntryQuerySet(models.QuerySet["ManifestEntry"]):
    def outstanding(self) -> "ManifestEntryQuerySet":
        """Files that have not arrived, or have and did not do."""
        return self.exclude(state=EntryState.RECEIVED)


class ManifestEntry(models.Model):
    """One file that a submission promises, and how far it has come."""

    submission = models.ForeignKey(Submission, models.CASCADE, related_name="entries")
    path = models.CharField(max_length=1000)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="+")
    seed = models.BigIntegerField(default=0)
    state = models.CharField(max_length=12, choices=EntryState, default=EntryState.MISSING)
    problem = models.TextField(blank=True)
    media = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")

    objects = ManifestEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "manifest entries"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["submission", "path"], name="entry_path_once_per_submission"),
            models.UniqueConstraint(fields=["submission", "prompt", "seed"], name="entry_one_per_prompt_and_seed"),
            models.CheckConstraint(
                condition=Q(state=EntryState.RECEIVED, media__isnull=False, problem="")
                | Q(state=EntryState.MISSING, media=None)
                | (Q(state=EntryState.BAD, media=None) & ~Q(problem="")),
                name="entry_state_has_its_evidence",
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="entry_sha256_is_hex"),
        ]
        indexes: ClassVar = [
            # The upload of one file finds its entries by the hash it was promised under.
            models.Index(fields=["submission", "sha256"], name="entry_by_hash"),
            # Each upload asks whether anything is still to come.
            models.Index(fields=["submission"], condition=~Q(state=EntryState.RECEIVED), name="entry_outstanding"),
        ]

    def __str__(self) -> str:
        return f"{self.path} ({self.state})"


class Sample(models.Model):
    """One output. Samples are made when their submission completes, so whatever is here may be compared and scored."""

    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, related_name="samples")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="samples")
    seed = models.BigIntegerField(default=0)
    media = models.ForeignKey(Media, models.PROTECT, related_name="samples")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["checkpoint", "prompt", "seed"], name="sample_one_per_prompt_and_seed")
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} · {self.prompt} · {self.seed}"
