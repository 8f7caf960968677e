"""What a rater says besides her answers: where it is wrong, a few words, that she could not answer."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import one_of
from raters.models.comparisons import Comparison


class Side(models.TextChoices):
    LEFT = "left", "Left"
    RIGHT = "right", "Right"


class Remark(models.Model):
    """What came with one revision of an answer: a region, a comment, and how attentively it was given.

    A region is a rectangle on one side in shares of its width and height; a point has none. On a video it has a time.
    """

    comparison = models.ForeignKey(Comparison, models.PROTECT, related_name="remarks")
    revision = models.PositiveSmallIntegerField(default=1)
    side = models.CharField(max_length=5, choices=Side, blank=True)
    x = models.FloatField(null=True, blank=True)
    y = models.FloatField(null=True, blank=True)
    width = models.FloatField(null=True, blank=True)
    height = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="When in the video the marked frame begins.")
    comment = models.TextField(blank=True)
    away_milliseconds = models.PositiveIntegerField(
        default=0, help_text="How long the page was hidden or without focus while the pair was before her."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["comparison", "revision"], name="remark_once_per_revision"),
            models.CheckConstraint(
                condition=Q(side="", x=None, y=None, width=None, height=None)
                | Q(side__in=Side.values, x__range=(0, 1), y__range=(0, 1), width__range=(0, 1), height__range=(0, 1)),
                name="remark_region_is_on_a_side",
            ),
            models.CheckConstraint(
                condition=Q(seconds=None) | (~Q(side="") & Q(seconds__gte=0)), name="remark_time_is_of_a_region"
            ),
        ]

    def __str__(self) -> str:
        return f"Remark {self.pk}"


class SkipReason(models.TextChoices):
    BROKEN = "broken", "Does not show, or is damaged"
    CANNOT_TELL = "cannot_tell", "I cannot judge this one"
    UPSETTING = "upsetting", "I do not want to look at this"
    OTHER = "other", "Another reason"


class Skip(models.Model):
    """A comparison left unanswered on purpose. It is not offered to her again; a broken side is shown to the owner."""

    comparison = models.OneToOneField(Comparison, models.PROTECT, related_name="skip")
    reason = models.CharField(max_length=12, choices=SkipReason)
    side = models.CharField(max_length=5, choices=Side, blank=True, help_text="Which one is broken, if only one is.")
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [one_of("reason", SkipReason, "skip_reason_known")]

    def __str__(self) -> str:
        return f"Skip {self.pk}"
