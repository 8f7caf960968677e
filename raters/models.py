"""How people compare: raters, what they were shown, what they answered, and the rankings frozen from their votes."""

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Media, Prompt, Sample, Study, User, one_of


class EnrolmentState(models.TextChoices):
    INVITED = "invited", "Invited"
    CONSENTED = "consented", "Consented"
    TRAINING = "training", "Training"
    QUALIFIED = "qualified", "Qualified"
    ACTIVE = "active", "Active"
    SCREENED_OUT = "screened_out", "Screened out"
    COMPLETE = "complete", "Complete"


class Choice(models.TextChoices):
    LEFT = "left", "Left"
    RIGHT = "right", "Right"
    TIE = "tie", "Tie"
    BOTH_BAD = "both_bad", "Both bad"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Reason(models.TextChoices):
    """Why a pair was drawn."""

    LEAST = "least", "Least compared so far"
    INFORMATION = "information", "Expected information"
    REPEAT = "repeat", "Repeat with sides swapped"
    GOLD = "gold", "Known answer"


class Control(models.TextChoices):
    NONE = "", "None"
    REPEAT = "repeat", "Repeat"
    GOLD = "gold", "Gold"


class FitState(models.TextChoices):
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Rater(models.Model):
    """A person who compares, apart from her account: erasing the account leaves the counts' history whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(User, models.SET_NULL, null=True, blank=True, related_name="rater")
    simulated = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Rater {str(self.pk)[:8]}{' (simulated)' if self.simulated else ''}"


class Enrolment(models.Model):
    """One rater's state in one study. Exclusion is reversible, says why, and says nothing about her pay."""

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="enrolments")
    study = models.ForeignKey(Study, models.CASCADE, related_name="enrolments")
    state = models.CharField(max_length=12, choices=EnrolmentState, default=EnrolmentState.INVITED)
    consent_version = models.PositiveSmallIntegerField(null=True, blank=True)
    consented_at = models.DateTimeField(null=True, blank=True)
    excluded_at = models.DateTimeField(null=True, blank=True)
    exclusion_reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rater", "study"], name="enrolment_once_per_study"),
            one_of("state", EnrolmentState, "enrolment_state_known"),
            models.CheckConstraint(
                condition=Q(excluded_at=None) | ~Q(exclusion_reason=""), name="enrolment_exclusion_has_reason"
            ),
            models.CheckConstraint(
                condition=~Q(state=EnrolmentState.ACTIVE) | Q(consented_at__isnull=False),
                name="enrolment_active_has_consent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study}"


class PresentationCopyQuerySet(models.QuerySet["PresentationCopy"]):
    def ready(self) -> "PresentationCopyQuerySet":
        return self.filter(problem="")


class PresentationCopy(models.Model):
    """A media file encoded anew under the study's presentation policy: the only bytes a rater's browser gets.

    Two samples may be compared once they have copies of equal dimensions for the same prompt. The row is written after
    its file. A file that cannot be encoded gets a row with the reason, so that it is not tried again for ever.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="copies")
    media = models.ForeignKey(Media, models.CASCADE, related_name="copies")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    policy = models.CharField(max_length=32, help_text="Name and version of the encoding policy.")
    size = models.PositiveBigIntegerField()
    problem = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PresentationCopyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "presentation copies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["media", "width", "height", "policy"], name="copy_once_per_canvas"),
            models.CheckConstraint(
                condition=Q(problem="", size__gt=0) | (~Q(problem="") & Q(size=0)), name="copy_is_there_or_says_why"
            ),
        ]
        # What can be offered is read again when a study's newest copy is another one.
        indexes: ClassVar = [models.Index(fields=["study", "id"], name="copy_newest")]

    def __str__(self) -> str:
        return f"{self.media} at {self.width}×{self.height}"

    @property
    def path(self) -> str:
        name = f"{self.media.sha256}-{self.width}x{self.height}-{self.policy}"
        return f"studies/{self.study_id}/shown/{name[:2]}/{name}"


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def unanswered(self) -> "ComparisonQuerySet":
        """Still to be answered, the oldest first: one that an undo opened again comes before what was leased since."""
        live = self.filter(left_checkpoint__withdrawn_at=None, right_checkpoint__withdrawn_at=None)
        return live.filter(answered_at=None).order_by("id")

    def answered(self) -> "ComparisonQuerySet":
        return self.filter(answered_at__isnull=False)


class Comparison(models.Model):
    """One impression: who was shown which pair on which sides, why it was drawn and how probable that was.

    The tokens are random, one per side and one for the vote, and say nothing; the truth stays in this row. Both
    checkpoints are repeated here so that counting a pair's comparisons needs no join.
    """

    LIFETIME = timedelta(hours=12)

    study = models.ForeignKey(Study, models.PROTECT, related_name="comparisons")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="+")
    left = models.ForeignKey(Sample, models.PROTECT, related_name="+")
    right = models.ForeignKey(Sample, models.PROTECT, related_name="+")
    left_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    right_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    left_copy = models.ForeignKey(PresentationCopy, models.PROTECT, related_name="+")
    right_copy = models.ForeignKey(PresentationCopy, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=12, choices=Reason)
    propensity = models.FloatField(help_text="Probability with which this pair of checkpoints was drawn.")
    control = models.CharField(max_length=8, choices=Control, default=Control.NONE, blank=True)
    token = models.CharField(max_length=43, unique=True)
    left_token = models.CharField(max_length=43, unique=True)
    right_token = models.CharField(max_length=43, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    shown_at = models.DateTimeField(
        null=True, blank=True, help_text="When the browser revealed both sides; unknown without JavaScript."
    )
    answered_at = models.DateTimeField(null=True, blank=True, help_text="Null again after an undo.")

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(left=F("right")), name="comparison_sides_differ"),
            models.CheckConstraint(
                condition=~Q(left_checkpoint=F("right_checkpoint")), name="comparison_checkpoints_differ"
            ),
            models.CheckConstraint(condition=Q(propensity__gt=0, propensity__lte=1), name="comparison_propensity"),
            one_of("reason", Reason, "comparison_reason_known"),
            one_of("control", Control, "comparison_control_known"),
            # A rater sees an unordered pair of samples once; a repeat is marked as the control it is.
            models.UniqueConstraint(
                F("rater"),
                Least("left", "right"),
                Greatest("left", "right"),
                condition=Q(control=""),
                name="comparison_pair_once_per_rater",
            ),
        ]
        indexes: ClassVar = [
            # What a rater left unanswered is offered to her again first.
            models.Index(fields=["rater", "study"], condition=Q(answered_at=None), name="comparison_unanswered"),
            models.Index(fields=["rater", "study", "answered_at"], name="comparison_by_rater"),
            # A draw counts what a pair has had, per prompt.
            models.Index(fields=["study", "left_checkpoint", "right_checkpoint", "prompt"], name="comparison_of_pair"),
        ]

    def __str__(self) -> str:
        return f"Comparison {self.pk}"


class VoteQuerySet(models.QuerySet["Vote"]):
    def latest_revisions(self, up_to: int | None = None) -> "VoteQuerySet":
        """The highest revision of each answer; an undone one is not among them.

        Args:
            up_to: the highest id to regard, so that what a fit counted can be read again after later undos.
        """
        newer = Vote.objects.filter(
            comparison=models.OuterRef("comparison"),
            criterion=models.OuterRef("criterion"),
            revision__gt=models.OuterRef("revision"),
        )
        votes = self
        if up_to is not None:
            newer, votes = newer.filter(id__lte=up_to), votes.filter(id__lte=up_to)
        return votes.filter(~models.Exists(newer)).exclude(choice=Choice.WITHDRAWN)


class Vote(models.Model):
    """One criterion's answer to one comparison. Rows are only added: the highest revision counts, an undo withdraws.

    Study, prompt, rater and both checkpoints are repeated here so that ranking 10^8 votes needs no join. The database
    itself refuses to change or delete a row (migration 0002): a study with votes is closed, not deleted, and erasing a
    person cuts her account from her `Rater`, which no vote knows more of.
    """

    comparison = models.ForeignKey(Comparison, models.PROTECT, related_name="votes")
    criterion = models.ForeignKey(Criterion, models.PROTECT, related_name="votes")
    revision = models.PositiveSmallIntegerField(default=1)
    choice = models.CharField(max_length=12, choices=Choice)
    reasons = models.JSONField(default=list, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True, help_text="From both sides shown to the answer.")
    without_javascript = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    study = models.ForeignKey(Study, models.PROTECT, related_name="votes")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="+")
    rater = models.ForeignKey(Rater, models.PROTECT, related_name="votes")
    left_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    right_checkpoint = models.ForeignKey(Checkpoint, models.PROTECT, related_name="+")
    simulated = models.BooleanField(default=False)
    control = models.CharField(max_length=8, choices=Control, default=Control.NONE, blank=True)

    objects = VoteQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["comparison", "criterion", "revision"], name="vote_revision_once"),
            one_of("choice", Choice, "vote_choice_known"),
            models.CheckConstraint(condition=Q(revision__gte=1), name="vote_revisions_start_at_one"),
            models.CheckConstraint(condition=~Q(left_checkpoint=F("right_checkpoint")), name="vote_checkpoints_differ"),
        ]
        # A fit reads a study's votes up to its cut-off, in order.
        indexes: ClassVar = [models.Index(fields=["study", "criterion", "id"], name="vote_by_study")]

    def __str__(self) -> str:
        return f"Vote {self.pk}"


class Fit(models.Model):
    """A frozen ranking of a study: the votes up to `cut_off`, one method, one version, one seed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="fits")
    criterion = models.ForeignKey(Criterion, models.PROTECT, related_name="fits")
    state = models.CharField(max_length=8, choices=FitState, default=FitState.DONE)
    cut_off = models.BigIntegerField(help_text="Every vote of the study with an id up to this is in it.")
    votes = models.PositiveIntegerField(default=0, help_text="Answers counted.")
    simulated_votes = models.PositiveIntegerField(default=0)
    raters = models.PositiveIntegerField(default=0)
    method = models.CharField(max_length=32)
    version = models.CharField(max_length=16)
    seed = models.BigIntegerField(default=0)
    settings = models.JSONField(default=dict, help_text="Model, clusters, phantom, scale.")
    position = models.JSONField(default=dict, help_text="The left side's advantage and its standard error, in Elo.")
    warnings = models.JSONField(default=list)
    # {"checkpoints": [id, …], "probabilities": [[…], …]}: symmetric; with which probability a draw takes each pair.
    pairing = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [one_of("state", FitState, "fit_state_known")]
        # The leaderboard shows the newest finished fit of a criterion.
        indexes: ClassVar = [models.Index(fields=["study", "criterion", "-created_at"], name="fit_newest")]
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.criterion} of {self.study}, up to vote {self.cut_off}"


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
