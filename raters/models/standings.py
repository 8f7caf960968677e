"""How far each rater can be trusted."""

from typing import ClassVar

from django.db import models

from evalhub.studies.models import Criterion
from raters.models.fits import Fit
from raters.models.people import Enrolment

OFTEN = 0.2  # of her answers; a few are fast, or interrupted, with everybody


class Standing(models.Model):
    """One rater beside the newest official fit of one criterion; null where her votes cannot tell.

    It is replaced with every such fit, and is there to be looked at: no number in it excludes anybody by itself.
    `weight` is the mean trust in her votes and `lapse` the probability that one of them says nothing about what was
    shown (docs/ranking.md); `influence` is the largest change of a rating when she is left out, in Elo.
    """

    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="standings")
    criterion = models.ForeignKey(Criterion, models.CASCADE, related_name="+")
    fit = models.ForeignKey(Fit, models.CASCADE, related_name="standings")
    votes = models.PositiveIntegerField(default=0)
    weight = models.FloatField(null=True)
    lapse = models.FloatField(null=True)
    gold_hits = models.PositiveIntegerField(default=0)
    gold_total = models.PositiveIntegerField(default=0)
    repeat_hits = models.PositiveIntegerField(default=0)
    repeat_total = models.PositiveIntegerField(default=0)
    side_bias = models.FloatField(null=True, help_text="How much stronger the left side is to her, in Elo.")
    side_low = models.FloatField(null=True)
    side_high = models.FloatField(null=True)
    left_rate = models.FloatField(null=True)
    tie_rate = models.FloatField(null=True)
    median_seconds = models.FloatField(null=True, help_text="From both sides shown to the answer.")
    fast_share = models.FloatField(null=True, help_text="Share of answers that took less than half a second.")
    away_share = models.FloatField(null=True, help_text="Share of pairs during which her page was out of sight.")
    agreement = models.FloatField(null=True, help_text="Share of her decisions for the side that the fit favours.")
    expected_agreement = models.FloatField(null=True, help_text="That share if she decided as the fit says.")
    influence = models.FloatField(null=True)
    changes_top = models.BooleanField(default=False, help_text="Without her others would lead, or in another order.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["enrolment", "criterion"], name="standing_once_per_criterion")
        ]

    def __str__(self) -> str:
        return f"{self.enrolment} on {self.criterion}"

    @property
    def gold_share(self) -> float | None:
        return self.gold_hits / self.gold_total if self.gold_total else None

    @property
    def repeat_share(self) -> float | None:
        return self.repeat_hits / self.repeat_total if self.repeat_total else None

    @property
    def flags(self) -> list[str]:
        """What in her speed and attention is worth a look, in full sentences; nothing is decided by it."""
        said = []
        if (self.fast_share or 0) >= OFTEN:
            said.append(f"{self.fast_share:.0%} of her answers took less than half a second.")
        if (self.away_share or 0) >= OFTEN:
            said.append(f"During {self.away_share:.0%} of her pairs the page was out of sight for two seconds or more.")
        return said
