"""What a rater was shown, and why."""

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import ExpressionWrapper, F, Q
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Media, Prompt, Sample, Study, one_of
from raters.models.golds import GoldUse
from raters.models.people import Rater
from raters.presentation import LONGEST_WHOLE, OUTLINE, POLICIES, TILED, WHOLE, pyramid


class Reason(models.TextChoices):
    """Why a pair was drawn."""

    LEAST = "least", "Least compared so far"
    INFORMATION = "information", "Expected information"
    REPEAT = "repeat", "Repeat with sides swapped"
    GOLD = "gold", "Known answer"
    IMPORTED = "imported", "Judged elsewhere, and imported"


class Choice(models.TextChoices):
    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    TIE = "tie", "Tie"
    BOTH_BAD = "both_bad", "Both bad"
    WITHDRAWN = "withdrawn", "Withdrawn"


# What a vote that stands can say.
ANSWERS = tuple(choice.value for choice in Choice if choice != Choice.WITHDRAWN)


class Control(models.TextChoices):
    NONE = "", "None"
    REPEAT = "repeat", "Repeat"
    GOLD = "gold", "Gold"


class PresentationCopyQuerySet(models.QuerySet["PresentationCopy"]):
    def ready(self) -> "PresentationCopyQuerySet":
        return self.filter(problem="")

    def in_force(self) -> "PresentationCopyQuerySet":
        """Those encoded as they would be today; large ones that are still whole are made anew."""
        large = Q(width__gt=LONGEST_WHOLE) | Q(height__gt=LONGEST_WHOLE)
        return self.filter(policy__in=POLICIES).exclude(large, policy=WHOLE)


class PresentationCopy(models.Model):
    """A media file encoded anew under the study's presentation policy: the only bytes a rater's browser gets.

    Two samples may be compared once they have copies of equal dimensions for the same prompt. The row is written after
    its file. A file that cannot be encoded gets a row with the reason, so that it is not tried again for ever.
    """

    TILE = pyramid.TILE  # pixels a side, of a copy in tiles

    study = models.ForeignKey(Study, models.CASCADE, related_name="copies")
    media = models.ForeignKey(Media, models.CASCADE, related_name="copies")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    rate = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Frames a second; videos only.")
    frames = models.PositiveIntegerField(default=1, db_default=1)
    policy = models.CharField(max_length=32, help_text="Name and version of the encoding policy.")
    size = models.PositiveBigIntegerField()
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PresentationCopyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "presentation copies"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["media", "width", "height", "rate", "frames", "policy"], name="copy_once_per_canvas"
            ),
            models.CheckConstraint(
                condition=Q(problem="", size__gt=0) | (~Q(problem="") & Q(size=0)), name="copy_is_there_or_says_why"
            ),
        ]
        # What can be offered is read again when a study's newest copy is another one.
        indexes: ClassVar = [models.Index(fields=["study", "id"], name="copy_newest")]

    def __str__(self) -> str:
        return f"{self.media} at {self.width}×{self.height}"

    @property
    def is_tiled(self) -> bool:
        return self.policy == TILED

    @property
    def is_outline(self) -> bool:
        return self.policy == OUTLINE

    @property
    def path(self) -> str:
        length = f"-{self.frames}at{self.rate}" if self.rate else ""
        name = f"{self.media.sha256}-{self.width}x{self.height}{length}-{self.policy}"
        return f"studies/{self.study_id}/shown/{name[:2]}/{name}"


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def unanswered(self) -> "ComparisonQuerySet":
        """Still to be answered: what she has seen first, then what was leased ahead; of either the oldest, so that one
        that an undo opened again comes before what came after it.
        Practice and qualification are apart, and a known answer may be one of a checkpoint that competes no more."""
        live = Q(left_checkpoint__withdrawn_at=None, right_checkpoint__withdrawn_at=None) | Q(control=Control.GOLD)
        still_open = self.in_earnest().filter(live, answered_at=None, skipped_at=None)
        return still_open.order_by(ExpressionWrapper(Q(shown_at=None), models.BooleanField()), "id")

    def answered(self) -> "ComparisonQuerySet":
        return self.filter(answered_at__isnull=False)

    def in_earnest(self) -> "ComparisonQuerySet":
        """Without the pairs of practice and qualification, which come before the comparing."""
        return self.filter(Q(gold=None) | Q(gold__use=GoldUse.CONTROL))


class Comparison(models.Model):
    """One impression: who was shown which pair on which sides, why it was drawn and how probable that was.

    The tokens are random, one per side and one for the vote, and say nothing; the truth stays in this row. Both
    checkpoints are repeated here so that counting a pair's comparisons needs no join.
    """

    LIFETIME = timedelta(hours=12)  # of the tokens
    LATE = timedelta(days=7)  # so long after that, an answer is still taken: a browser may have kept it

    study = models.ForeignKey(Study, models.PROTECT, related_name="comparisons")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="+")
    left = models.ForeignKey(Sample, models.PROTECT, related_name="+")
    right = models.ForeignKey(Sample, models.PROTECT, related_name="+")
    left_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    right_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    # Nothing is known of what was on the screen where imported votes were cast.
    left_copy = models.ForeignKey(PresentationCopy, models.PROTECT, null=True, blank=True, related_name="+")
    right_copy = models.ForeignKey(PresentationCopy, models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=12, choices=Reason)
    propensity = models.FloatField(
        help_text="Probability with which this pair of checkpoints was drawn, of all that she could be shown then."
    )
    control = models.CharField(max_length=8, choices=Control, default=Control.NONE, blank=True)
    gold = models.ForeignKey(
        "raters.Gold",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="comparisons",
        help_text="Whose answer is known.",
    )
    original = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="repeats", help_text="What a repeat repeats."
    )
    attempt = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="At the qualification, which may be tried again."
    )
    explained_at = models.DateTimeField(
        null=True, blank=True, help_text="When she had read what was said about her answer; in training only."
    )
    expected = models.CharField(max_length=12, choices=Choice, blank=True, help_text="A gold control's answer.")
    token = models.CharField(max_length=43, unique=True)
    left_token = models.CharField(max_length=43, unique=True)
    right_token = models.CharField(max_length=43, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    shown_at = models.DateTimeField(
        null=True, blank=True, help_text="When the browser revealed both sides; unknown without JavaScript."
    )
    answered_at = models.DateTimeField(null=True, blank=True, help_text="Null again after an undo.")
    skipped_at = models.DateTimeField(null=True, blank=True, help_text="Left unanswered on purpose; see `Skip`.")

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(left=F("right")), name="comparison_sides_differ"),
            models.CheckConstraint(
                condition=~Q(left_checkpoint=F("right_checkpoint")), name="comparison_checkpoints_differ"
            ),
            models.CheckConstraint(condition=Q(propensity__gt=0, propensity__lte=1), name="comparison_propensity"),
            one_of("reason", Reason, "comparison_reason_known"),
            models.CheckConstraint(
                condition=Q(reason=Reason.IMPORTED) | Q(left_copy__isnull=False, right_copy__isnull=False),
                name="comparison_shown_here_has_copies",
            ),
            one_of("control", Control, "comparison_control_known"),
            models.CheckConstraint(
                condition=Q(expected="") | Q(control=Control.GOLD, expected__in=ANSWERS),
                name="comparison_expected_known",
            ),
            models.CheckConstraint(
                condition=Q(answered_at=None) | Q(skipped_at=None), name="comparison_answered_or_skipped"
            ),
            # A rater sees an unordered pair of samples once; a repeat is marked as the control it is.
            models.UniqueConstraint(
                F("rater"),
                Least("left", "right"),
                Greatest("left", "right"),
                condition=Q(control=""),
                name="comparison_pair_once_per_rater",
            ),
            models.UniqueConstraint(
                fields=["rater", "gold", "attempt"], condition=Q(gold__isnull=False), name="comparison_gold_once"
            ),
            models.UniqueConstraint(
                fields=["original"], condition=Q(original__isnull=False), name="comparison_repeated_once"
            ),
        ]
        indexes: ClassVar = [
            # What a rater left unanswered is offered to her again first.
            models.Index(fields=["rater", "study"], condition=Q(answered_at=None), name="comparison_unanswered"),
            # Every draw reads which pairs she has seen; with both sides in it, the index alone answers.
            models.Index(fields=["rater", "study", "answered_at"], include=["left", "right"], name="comparison_own"),
            # What an undo reopens may be one that she skipped; few are.
            models.Index(
                fields=["rater", "study", "skipped_at"],
                condition=Q(skipped_at__isnull=False),
                name="comparison_skipped",
            ),
        ]

    def __str__(self) -> str:
        return f"Comparison {self.pk}"

    @property
    def is_lesson(self) -> bool:
        """Whether it is of practice or qualification, before the comparing."""
        return self.gold is not None and self.gold.use != GoldUse.CONTROL
