"""May a checkpoint ship? The margin is registered first; the votes cast after that decide."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Study, User, one_of
from raters.models.fits import Fit


class Outcome(models.TextChoices):
    PASS = "pass", "Pass"
    FAIL = "fail", "Fail"
    UNDECIDED = "undecided", "Undecided"


class MarginQuerySet(models.QuerySet["Margin"]):
    def standing(self) -> "MarginQuerySet":
        return self.filter(withdrawn_at=None)


class Margin(models.Model):
    """The claim "candidate is not worse than baseline by more than `margin` Elo", registered before its votes.

    Only votes with an id above `after_vote`, the newest when it was registered, count for it. It is never changed; a
    withdrawn one stays listed with what it had come to.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="margins")
    criterion = models.ForeignKey(Criterion, models.CASCADE, related_name="margins")
    candidate = models.ForeignKey(Checkpoint, models.CASCADE, related_name="+")
    baseline = models.ForeignKey(Checkpoint, models.CASCADE, related_name="+")
    margin = models.FloatField(help_text="Elo.")
    after_vote = models.BigIntegerField(default=0)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    registered_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawal_reason = models.TextField(blank=True)

    objects = MarginQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-registered_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(candidate=F("baseline")), name="margin_of_two"),
            models.CheckConstraint(condition=Q(margin__gt=0), name="margin_above_zero"),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | ~Q(withdrawal_reason=""), name="margin_withdrawal_has_reason"
            ),
            models.UniqueConstraint(
                fields=["criterion", "candidate", "baseline"],
                condition=Q(withdrawn_at=None),
                name="margin_once_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.candidate} not worse than {self.baseline} by more than {self.margin:g} Elo"


class Verdict(models.Model):
    """What the votes of one fit say of one margin. Elo: the candidate's rating less the baseline's."""

    margin = models.ForeignKey(Margin, models.CASCADE, related_name="verdicts")
    fit = models.ForeignKey(Fit, models.CASCADE, related_name="verdicts")
    outcome = models.CharField(max_length=9, choices=Outcome)
    difference = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    more_votes = models.PositiveBigIntegerField(null=True, help_text="About so many between the two would decide.")
    votes = models.PositiveIntegerField(default=0, help_text="Answers counted: those after the registration.")
    sentence = models.TextField()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            one_of("outcome", Outcome, "verdict_outcome_known"),
            models.UniqueConstraint(fields=["margin", "fit"], name="verdict_once_per_fit"),
        ]

    def __str__(self) -> str:
        return f"{self.margin}: {self.get_outcome_display()}"
