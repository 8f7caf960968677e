"""What she answered."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models import Checkpoint, Criterion, Prompt, Study, one_of
from raters.models.comparisons import Choice, Comparison, Control
from raters.models.people import Rater


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
        ).filter(revision__gt=1)  # says nothing new, but lets the database look at the few changed answers alone
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
        indexes: ClassVar = [
            # A fit reads a study's votes up to its cut-off, in order.
            models.Index(fields=["study", "criterion", "id"], name="vote_by_study"),
            # Few answers are ever changed: whether one was takes a look at these alone.
            models.Index(fields=["study", "comparison", "criterion"], condition=Q(revision__gt=1), name="vote_revised"),
        ]

    def __str__(self) -> str:
        return f"Vote {self.pk}"
