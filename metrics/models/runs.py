"""Runs over submissions, and the shards that workers take."""

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Submission, User, one_of
from metrics.models.references import Reference
from metrics.models.scores import Score


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

    def scores_in_order(self) -> list[Score]:
        """Its scores in the order in which its metrics were named."""
        return sorted(self.scores.all(), key=lambda score: self.metrics.index(score.metric))

    @property
    def device(self) -> str:
        """What its scores were computed on; empty while there are none."""
        return next((name for score in self.scores.all() if (name := score.efficiency.get("device"))), "")

    @property
    def peak_memory(self) -> int:
        """Bytes, the most of any of its passes: the device's on a GPU, else the process's. 0 while it is unknown."""
        return max((int(score.efficiency.get("peak_memory") or 0) for score in self.scores.all()), default=0)

    def parts_by_state(self) -> list[tuple[str, int]]:
        """How many of its parts are in each state that any is in; states as people call them."""
        counted = Counter(shard.state for shard in self.shards.all())
        called = {state: "running" if state == ShardState.LEASED else state.label.lower() for state in ShardState}
        return [(called[state], counted[state]) for state in ShardState if counted[state]]

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
    problems = models.JSONField(
        default=dict, blank=True, help_text="Metric → why these samples have no value of it; the others go on."
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

    @property
    def rate(self) -> float | None:
        """Samples per second of its last attempt, once that says something."""
        return self.samples_done / self.busy_seconds if self.samples_done and self.busy_seconds else None
