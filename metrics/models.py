"""How machines score: runs over submissions, their shards, the features they keep and the scores they end in."""

import uuid
from dataclasses import dataclass
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Media, Sample, Study, Submission, User, one_of
from metrics.engine.registry import MetricSpec, get_metric


class RunState(models.TextChoices):
    WAITING = "waiting", "Waiting for a worker"
    RUNNING = "running", "Running"
    MERGING = "merging", "Merging"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ShardState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    LEASED = "leased", "Leased"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ScoreState(models.TextChoices):
    DONE = "done", "Done"
    WAITING_FOR_WEIGHTS = "waiting_for_weights", "Waiting for weights"
    FAILED = "failed", "Failed"


class Reference(models.Model):
    """The real images that FID and KID compare with: a named, ordered list of media that never changes."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="references")
    name = models.CharField(max_length=120)
    media = models.ManyToManyField(Media, through="ReferenceImage", related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "name"], name="reference_name_once")]

    def __str__(self) -> str:
        return self.name


class ReferenceImage(models.Model):
    reference = models.ForeignKey(Reference, models.CASCADE, related_name="images")
    media = models.ForeignKey(Media, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["reference", "position"], name="reference_order")]

    def __str__(self) -> str:
        return f"{self.position} of {self.reference}"


class ReferenceStatistics(models.Model):
    """Cached statistics of a reference under one extractor's fingerprint; the numbers lie in storage as safetensors."""

    reference = models.ForeignKey(Reference, models.CASCADE, related_name="statistics")
    fingerprint = models.CharField(max_length=64)
    path = models.CharField(max_length=300)
    n = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "reference statistics"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reference", "fingerprint"], name="reference_statistics_once")
        ]

    def __str__(self) -> str:
        return f"{self.reference} under {self.fingerprint[:12]}"


class Weights(models.Model):
    """Weights that some worker of this site has, by the hash of their tensors: what a new run may pin and count on."""

    name = models.CharField(max_length=80, unique=True)
    sha256 = models.CharField(max_length=64, help_text="Of the tensors, whichever file they came from.")
    model = models.CharField(
        max_length=40, blank=True, help_text="The architecture, where a checkpoint does not say it."
    )
    # Renewed by every pull, import and verify; scores that waited since before it are taken up again.
    available_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "weights"

    def __str__(self) -> str:
        return self.name


class RunQuerySet(models.QuerySet["Run"]):
    def with_everything(self) -> "RunQuerySet":
        """All that a page about runs shows, in a fixed number of queries."""
        shards = Shard.objects.defer("sample_ids").order_by("index")
        scores = Score.objects.order_by("id")
        return self.select_related("submission__checkpoint__study", "reference", "created_by").prefetch_related(
            models.Prefetch("shards", shards), models.Prefetch("scores", scores)
        )


class Run(models.Model):
    """One pass over a submission for a set of metrics, with its protocols, reference and sample list pinned."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    submission = models.ForeignKey(Submission, models.CASCADE, related_name="runs")
    metrics = ArrayField(models.CharField(max_length=40))
    protocol = models.JSONField()
    reference = models.ForeignKey(Reference, models.PROTECT, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=12, choices=RunState, default=RunState.WAITING)
    samples = models.PositiveIntegerField(default=0)
    automatic = models.BooleanField(default=False, help_text="Started by the submission's completion.")
    stage = models.CharField(max_length=200, blank=True, help_text="What the merge is doing now.")
    error = models.TextField(blank=True)
    # The merge is claimed like a shard: its token fences off a worker that was believed dead.
    merge_token = models.PositiveIntegerField(default=0)
    merge_attempts = models.PositiveSmallIntegerField(default=0)
    merge_lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            one_of("state", RunState, "run_state_known"),
            models.UniqueConstraint(fields=["submission"], condition=Q(automatic=True), name="run_automatic_once"),
            models.CheckConstraint(
                condition=~Q(state__in=["done", "failed", "cancelled"]) | Q(finished_at__isnull=False),
                name="run_finished_when_it_says_so",
            ),
        ]
        # The sweep looks for runs that still owe something.
        indexes: ClassVar = [
            models.Index(
                fields=["state"], condition=Q(state__in=["waiting", "running", "merging"]), name="run_unfinished"
            )
        ]

    def __str__(self) -> str:
        return f"{', '.join(self.metrics)} over {self.submission.checkpoint}"

    @property
    def is_finished(self) -> bool:
        return self.state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)

    def scores_in_order(self) -> list["Score"]:
        """Its scores in the order in which its metrics were named."""
        return sorted(self.scores.all(), key=lambda score: self.metrics.index(score.metric))

    def progress(self) -> "Progress":
        """How far the run is, from its shards' own times: the speed of a worker while it works, times those at work."""
        done, busy, at_work = 0, 0.0, 0
        for shard in self.shards.all():
            done += shard.samples_done
            busy += shard.busy_seconds if shard.samples_done else 0.0
            at_work += shard.state == ShardState.LEASED
        # The first samples wait for models to load and say little about the rest.
        rate = done / busy * max(1, at_work) if busy and done >= FIRST_SAMPLES else None
        return Progress(done, self.samples, busy, rate, (self.samples - done) / rate if rate else None)


FIRST_SAMPLES = 8


@dataclass(frozen=True)
class Progress:
    """Samples done of all, the seconds that workers spent on them, and, once something is known, samples per second and
    the seconds that remain at this speed."""

    done: int
    total: int
    busy: float
    rate: float | None
    remaining: float | None


class Shard(models.Model):
    """A run's unit of work: some of its samples, in order. Finishing one needs the token that its claim handed out."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="shards")
    index = models.PositiveIntegerField()
    sample_ids = ArrayField(models.BigIntegerField())
    state = models.CharField(max_length=10, choices=ShardState, default=ShardState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    token = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    samples_done = models.PositiveIntegerField(default=0)
    stage = models.CharField(max_length=200, blank=True, help_text="What its worker is doing now.")
    block = models.CharField(max_length=300, blank=True, help_text="Its feature block in storage.")
    metrics = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="Whose features its block holds."
    )
    error = models.TextField(blank=True, help_text="The last attempt's that failed.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["index"]
        # The sweep looks for leases that ran out and shards that nobody was told of.
        indexes: ClassVar = [
            models.Index(fields=["state"], condition=Q(state__in=["waiting", "leased"]), name="shard_unfinished")
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "index"], name="shard_index_once_per_run"),
            one_of("state", ShardState, "shard_state_known"),
            models.CheckConstraint(
                condition=~Q(state=ShardState.LEASED) | Q(lease_expires_at__isnull=False), name="shard_lease_ends"
            ),
            models.CheckConstraint(condition=~Q(state=ShardState.DONE) | ~Q(block=""), name="shard_done_has_block"),
        ]

    def __str__(self) -> str:
        return f"part {self.index + 1} of run {self.run_id}"

    @property
    def number(self) -> int:
        return self.index + 1

    @property
    def busy_seconds(self) -> float:
        """How long its last attempt has worked, or did."""
        if self.started_at is None or self.state not in (ShardState.LEASED, ShardState.DONE):
            return 0.0
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()


class FeatureBlock(models.Model):
    """An index row of the feature cache: in which block and row one value of one fingerprint lies.

    The cache is the study's own, like its media, so that nobody learns from a quick answer what another team has.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=64)
    key = models.CharField(
        max_length=129, help_text="The SHA-256 of what went in: an image, a caption, or an image and its reference."
    )
    path = models.CharField(max_length=300)
    row = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "fingerprint", "key"], name="features_once")]

    def __str__(self) -> str:
        return f"{self.path} row {self.row}"


class Score(models.Model):
    """One metric's result for one run. Only scores of one fingerprint share a column."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="scores")
    metric = models.CharField(max_length=40)
    state = models.CharField(max_length=20, choices=ScoreState, default=ScoreState.DONE)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    interval = models.CharField(max_length=200, blank=True, help_text="The method of the interval.")
    n = models.PositiveIntegerField(default=0)
    fingerprint = models.CharField(max_length=64, blank=True)
    protocol = models.JSONField(default=dict)
    details = models.JSONField(default=dict, help_text="Further figures of the metric, by name.")
    warnings = models.JSONField(default=list)
    note = models.TextField(blank=True, help_text="Why there is no value, and what to do.")
    missing_weights = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    retried_in = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+")
    efficiency = models.JSONField(default=dict, help_text="Seconds by stage, images per second, peak memory, device.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "metric"], name="score_once_per_run"),
            one_of("state", ScoreState, "score_state_known"),
            models.CheckConstraint(
                condition=Q(state=ScoreState.DONE, value__isnull=False) | (~Q(state=ScoreState.DONE) & Q(value=None)),
                name="score_has_value_when_done",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric} of run {self.run_id}"

    @property
    def spec(self) -> MetricSpec:
        return get_metric(self.metric)


class SampleScore(models.Model):
    """One sample's value of a per-sample metric: what "worst regressions" are sorted by."""

    score = models.ForeignKey(Score, models.CASCADE, related_name="samples")
    sample = models.ForeignKey(Sample, models.CASCADE, related_name="+")
    value = models.FloatField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["score", "sample"], name="sample_score_once")]

    def __str__(self) -> str:
        return f"{self.value:.4g} for sample {self.sample_id}"
