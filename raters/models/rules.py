"""What a study asks of its raters, what it pays them for, and whose answers it uses."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import LessThanOrEqual

from evalhub.studies.models import Study

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]
SHARES = ("qualification_share", "accept_gold_share", "use_gold_share", "use_repeat_share")


class RaterRules(models.Model):
    """Empty fields ask for nothing. Paying a rater and using her answers are decided apart, each by its own rule."""

    study = models.OneToOneField(Study, models.CASCADE, related_name="rater_rules", primary_key=True)
    least_width = models.PositiveIntegerField(null=True, blank=True, help_text="Of the browser window, in CSS pixels.")
    least_height = models.PositiveIntegerField(null=True, blank=True, help_text="Of the browser window, in CSS pixels.")
    break_after_minutes = models.PositiveSmallIntegerField(null=True, blank=True)
    qualification_share = models.FloatField(
        null=True, blank=True, validators=SHARE, help_text="Share of right answers that qualifies."
    )
    gold_every = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="On average one comparison in so many has a known answer."
    )
    repeat_every = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="On average one comparison in so many was seen before, on swapped sides."
    )
    pay_per_comparison = models.DecimalField(max_digits=8, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    shows_consistency = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A rater sees on her own page how many known answers she found and how often she repeated herself.",
    )
    accept_gold_share = models.FloatField(
        null=True,
        blank=True,
        validators=SHARE,
        help_text="A rater is paid with at least this share of known answers right.",
    )
    accept_median_seconds = models.FloatField(
        null=True, blank=True, help_text="A rater is paid when her median look takes at least so long."
    )
    use_gold_share = models.FloatField(
        null=True, blank=True, validators=SHARE, help_text="Her answers are used with at least this share right."
    )
    use_repeat_share = models.FloatField(
        null=True, blank=True, validators=SHARE, help_text="Her answers are used when she repeats at least this share."
    )
    use_median_seconds = models.FloatField(
        null=True, blank=True, help_text="Her answers are used when her median look takes at least so long."
    )

    class Meta:
        verbose_name_plural = "rater rules"
        constraints: ClassVar = [
            *(
                models.CheckConstraint(
                    condition=Q(**{name: None}) | Q(**{f"{name}__range": (0, 1)}), name=f"rules_{name}_is_a_share"
                )
                for name in SHARES
            ),
            models.CheckConstraint(
                condition=(Q(gold_every=None) | Q(gold_every__gte=2)) & (Q(repeat_every=None) | Q(repeat_every__gte=2)),
                name="rules_controls_are_the_fewer",
            ),
            models.CheckConstraint(
                condition=Q(gold_every=None)
                | Q(repeat_every=None)
                | Q(LessThanOrEqual(1.0 / F("gold_every") + 1.0 / F("repeat_every"), 0.501)),
                name="rules_controls_are_half_at_most",
            ),
        ]

    def __str__(self) -> str:
        return f"Rules of {self.study}"
