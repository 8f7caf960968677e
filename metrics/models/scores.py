"""What runs end in."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Sample, one_of
from metrics.engine.registry import MetricSpec, get_metric


class ScoreState(models.TextChoices):
    DONE = "done", "Done"
    WAITING_FOR_WEIGHTS = "waiting_for_weights", "Waiting for weights"
    FAILED = "failed", "Failed"


class Score(models.Model):
    """One metric's result for one run. Only scores of one fingerprint share a column."""

    run = models.ForeignKey("metrics.Run", models.CASCADE, related_name="scores")
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
    retried_in = models.ForeignKey("metrics.Run", models.SET_NULL, null=True, blank=True, related_name="+")
    efficiency = models.JSONField(default=dict, help_text="Seconds by stage, images per second, peak memory, device.")
    drift = models.JSONField(
        default=dict, help_text="How far reduced precision moves the value from float32, measured on some samples."
    )
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
