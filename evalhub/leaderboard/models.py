"""What is computed from ratings and scores together and kept: which metrics agree with people."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from raters.models import Fit


class MetricAgreementQuerySet(models.QuerySet["MetricAgreement"]):
    def beside(self, fit: Fit | None) -> "MetricAgreementQuerySet":
        """Those of the fit; while it has none, of the newest fit of the same question before it that has."""
        if fit is None:
            return self.none()
        same = Fit.objects.of(fit.study, fit.criterion, fit.slice).filter(created_at__lte=fit.created_at)
        compared = same.filter(models.Exists(self.model.objects.filter(fit=models.OuterRef("pk"))))
        return self.filter(fit=compared.order_by("-created_at").values("pk")[:1]).select_related("fit")


class MetricAgreement(models.Model):
    """How far one metric column agrees with the ratings and votes of one fit; null where the data cannot tell.

    Orders are turned so that +1 means: the metric puts the contestants in the people's order. The intervals are
    percentiles over prompts drawn again (docs/ranking.md); they take the contestants as given.
    """

    fit = models.ForeignKey(Fit, models.CASCADE, related_name="metric_agreements")
    metric = models.CharField(max_length=40)
    fingerprint = models.CharField(max_length=64)
    contestants = models.PositiveIntegerField(default=0, help_text="With a rating and a value.")
    prompts = models.PositiveIntegerField(default=0, help_text="Drawn again and again.")
    tau = models.FloatField(null=True, help_text="Kendall's τ-b.")
    tau_low = models.FloatField(null=True)
    tau_high = models.FloatField(null=True)
    rho = models.FloatField(null=True, help_text="Spearman's ρ.")
    rho_low = models.FloatField(null=True)
    rho_high = models.FloatField(null=True)
    per_sample = models.BooleanField(default=False, help_text="Whether single samples have values of this metric.")
    accuracy = models.FloatField(null=True, help_text="Share of decisions for the sample with the better value.")
    accuracy_low = models.FloatField(null=True)
    accuracy_high = models.FloatField(null=True)
    decisions = models.PositiveIntegerField(default=0)
    replicates = models.PositiveIntegerField(default=0)
    seed = models.BigIntegerField(default=0)
    # The newest score that went in: a newer one asks for a new row.
    scores_until = models.DateTimeField()
    seconds = models.FloatField(default=0, help_text="All columns of the fit together.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MetricAgreementQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["fit", "metric", "fingerprint"], name="metric_agreement_once_per_column")
        ]

    def __str__(self) -> str:
        return f"{self.metric} beside {self.fit}"
