"""Pairs whose better side is known: to teach, to qualify, to check attention."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models import Criterion, Sample, Study, User, one_of


class GoldUse(models.TextChoices):
    TRAINING = "training", "Training"
    QUALIFICATION = "qualification", "Qualification"
    CONTROL = "control", "Control among the comparisons"


class GoldQuerySet(models.QuerySet["Gold"]):
    def in_use(self, use: GoldUse) -> "GoldQuerySet":
        return self.filter(use=use, retired_at=None)


class Gold(models.Model):
    """Two samples of one prompt of which an owner knows the better one; on every question, or on one."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="golds")
    better = models.ForeignKey(Sample, models.CASCADE, related_name="+")
    worse = models.ForeignKey(Sample, models.CASCADE, related_name="+")
    criterion = models.ForeignKey(Criterion, models.CASCADE, null=True, blank=True, related_name="+")
    use = models.CharField(max_length=16, choices=GoldUse)
    explanation = models.TextField(blank=True, help_text="Markdown, shown after the answer in training.")
    position = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = GoldQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [
            one_of("use", GoldUse, "gold_use_known"),
            models.CheckConstraint(condition=~Q(better=F("worse")), name="gold_samples_differ"),
            models.UniqueConstraint(
                fields=["better", "worse", "use", "criterion"],
                condition=Q(retired_at=None),
                nulls_distinct=False,
                name="gold_once_per_use",
            ),
        ]

    def __str__(self) -> str:
        return f"Gold {self.pk} ({self.use})"
