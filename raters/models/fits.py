"""Rankings frozen from votes."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Study, one_of


def slice_digest(slice: Mapping[str, Any]) -> str:
    """SHA-256 of the slice's canonical JSON: what an index can hold."""
    canonical = json.dumps(slice, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


OWN_SLICE = slice_digest({})  # all that the study itself counts


class FitState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


UNFINISHED = (FitState.WAITING, FitState.RUNNING)


class FitQuerySet(models.QuerySet["Fit"]):
    def official(self) -> "FitQuerySet":
        """The study's own ranking of each of its criteria; no slice and nothing pooled."""
        return self.filter(slice_digest=OWN_SLICE, criterion__isnull=False)

    def done(self) -> "FitQuerySet":
        return self.filter(state=FitState.DONE)

    def unfinished(self) -> "FitQuerySet":
        return self.filter(state__in=UNFINISHED)

    def of(self, study: Study, criterion: Criterion | None, slice: Mapping[str, Any]) -> "FitQuerySet":
        """All fits of one question, the newest first.

        Args:
            criterion: None for all criteria pooled.
            slice: normalised; see `raters.services.slices`.
        """
        return self.filter(study=study, criterion=criterion, slice_digest=slice_digest(slice))


class Fit(models.Model):
    """A frozen ranking: the votes of a study, or of a slice of it, up to `cut_off`, one method, one version, one seed.

    The study's own ranking is written when it is done. A slice is asked for: its row waits until a worker takes it up.
    What the JSON columns hold:

    - head_to_head: {"checkpoints": [id, …], "wins": K×K, row beats column, "ties": K×K, "both_bad": K×K,
      "superiority": K×K, the probability that the row is better than the column, null where the votes cannot tell}.
    - separations: neighbours in rank order, [{"upper": id, "lower": id, "separated": bool, "difference", "low", "high":
      Elo, "more_votes": int or null, "sentence"}, …].
    - agreement: {"alpha", "low", "high", "units", "values"}, Krippendorff's; alpha null where nothing was judged twice.
    - influence: {"top": [id, …], "alarm": sentence or "", "raters": [{"rater", "votes", "largest", "moved", "top",
      "changes_top"}, …]}, those who change the top first; no more than ten.
    - inputs: what besides votes the ranking rests on and may change later: {"contestants": [[id, name], …],
      "excluded": [rater, …], "group": [rater, …]}.
    - pairing: {"checkpoints": [id, …], "probabilities": K×K, symmetric; with which probability a draw takes each pair};
      of the newest official fit only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="fits")
    criterion = models.ForeignKey(
        Criterion, models.PROTECT, null=True, blank=True, related_name="fits", help_text="None: all pooled."
    )
    slice = models.JSONField(default=dict, blank=True, help_text="Which votes, and how; {} is the study's own ranking.")
    slice_digest = models.CharField(max_length=64, default=OWN_SLICE, editable=False)
    state = models.CharField(max_length=8, choices=FitState, default=FitState.DONE)
    stage = models.CharField(max_length=120, blank=True, help_text="What a worker is doing at it.")
    attempts = models.PositiveSmallIntegerField(default=0)
    cut_off = models.BigIntegerField(default=0, help_text="Every vote of the study with an id up to this is in it.")
    votes = models.PositiveIntegerField(default=0, help_text="Answers counted.")
    simulated_votes = models.PositiveIntegerField(default=0)
    raters = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=32, blank=True)
    version = models.CharField(max_length=16, blank=True)
    seed = models.BigIntegerField(default=0)
    settings = models.JSONField(default=dict, help_text="Model, clusters, phantom, scale.")
    inputs = models.JSONField(default=dict)
    position = models.JSONField(default=dict, help_text="The left side's advantage and its standard error, in Elo.")
    covariates = models.JSONField(default=dict, help_text="By name, in Elo: a typical difference's effect.")
    warnings = models.JSONField(default=list)
    pairing = models.JSONField(default=dict)
    head_to_head = models.JSONField(default=dict)
    separations = models.JSONField(default=list)
    agreement = models.JSONField(default=dict)
    influence = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FitQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            one_of("state", FitState, "fit_state_known"),
            models.UniqueConstraint(
                fields=["study", "criterion", "slice_digest"],
                condition=Q(state__in=UNFINISHED),
                nulls_distinct=False,
                name="fit_unfinished_once",
            ),
        ]
        indexes: ClassVar = [
            # The leaderboard shows the newest finished fit of a question.
            models.Index(fields=["study", "criterion", "slice_digest", "-created_at"], name="fit_newest"),
        ]
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.criterion or 'All criteria'} of {self.study}, up to vote {self.cut_off}"

    @property
    def is_official(self) -> bool:
        return self.slice_digest == OWN_SLICE and self.criterion_id is not None

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED


class Rating(models.Model):
    """One contestant's row of one fit. `rating` is null where the votes cannot place it; the fit's warnings say why."""

    fit = models.ForeignKey(Fit, models.CASCADE, related_name="ratings")
    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, related_name="ratings")
    rating = models.FloatField(null=True)
    se = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    rank_low = models.PositiveIntegerField(null=True)
    rank_high = models.PositiveIntegerField(null=True)
    interval = models.CharField(max_length=40, blank=True, help_text="The method of the interval.")
    comparisons = models.PositiveIntegerField(default=0)
    wins = models.PositiveIntegerField(default=0)
    losses = models.PositiveIntegerField(default=0)
    ties = models.PositiveIntegerField(default=0)
    both_bad = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = [F("rating").desc(nulls_last=True), "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["fit", "checkpoint"], name="rating_once_per_fit")]

    def __str__(self) -> str:
        return f"{self.checkpoint}: {self.rating}"
