"""Outputs that are nearly the same as others, or as a reference: what a search over stored features has found."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models import Media, Sample, Submission, User, one_of


class SearchState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class DuplicateSearch(models.Model):
    """The newest search of one submission, by one column's features, and what it counted.

    A search is claimed like a shard, by a token: one whose worker was killed is begun again.
    """

    submission = models.OneToOneField(Submission, models.CASCADE, related_name="duplicate_search")
    state = models.CharField(max_length=8, choices=SearchState, default=SearchState.WAITING)
    token = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    done_share = models.FloatField(default=0)
    column = models.CharField(max_length=40, blank=True, help_text="Whose features were compared.")
    fingerprint = models.CharField(max_length=64, blank=True)
    threshold = models.FloatField(null=True, help_text="Cosine similarity from which a pair is near.")
    outputs = models.PositiveIntegerField(default=0, help_text="Different files that have features.")
    without = models.PositiveIntegerField(default=0, help_text="Different files that have none.")
    references = models.PositiveIntegerField(default=0)
    pairs_within = models.PositiveBigIntegerField(default=0)
    near_within = models.PositiveIntegerField(default=0, help_text="Outputs in any of these pairs.")
    pairs_references = models.PositiveBigIntegerField(default=0)
    near_references = models.PositiveIntegerField(default=0, help_text="Outputs near any reference but their own.")
    seconds = models.FloatField(default=0)
    asked_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    beat_at = models.DateTimeField(default=timezone.now, help_text="When its worker was last heard of.")

    class Meta:
        verbose_name_plural = "duplicate searches"
        constraints: ClassVar = [
            one_of("state", SearchState, "duplicate_search_state_known"),
            models.CheckConstraint(
                condition=~Q(state=SearchState.DONE) | Q(threshold__isnull=False), name="duplicate_search_says_how"
            ),
            models.CheckConstraint(
                condition=~Q(state=SearchState.FAILED) | ~Q(error=""), name="duplicate_search_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"Near-duplicates of {self.submission.checkpoint}"

    @property
    def is_finished(self) -> bool:
        return self.state in (SearchState.DONE, SearchState.FAILED)


class NearDuplicateQuerySet(models.QuerySet["NearDuplicate"]):
    def of(self, what: str) -> "NearDuplicateQuerySet":
        """Pairs with a reference (`references`), or of two outputs (`outputs`)."""
        return self.filter(reference__isnull=what != "references")

    def with_pictures(self) -> "NearDuplicateQuerySet":
        """With all that a page shows of a pair."""
        return self.select_related("sample__prompt", "sample__media", "other__prompt", "other__media", "reference")


class NearDuplicate(models.Model):
    """One pair: an output, and another one of the same submission or a reference."""

    search = models.ForeignKey(DuplicateSearch, models.CASCADE, related_name="pairs")
    sample = models.ForeignKey(Sample, models.CASCADE, related_name="+")
    other = models.ForeignKey(Sample, models.CASCADE, null=True, related_name="+")
    reference = models.ForeignKey(Media, models.CASCADE, null=True, related_name="+")
    similarity = models.FloatField(help_text="Cosine of the two feature vectors; 1 is the same.")

    objects = NearDuplicateQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-similarity", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(other=None, reference__isnull=False) | Q(other__isnull=False, reference=None),
                name="near_duplicate_of_one_thing",
            ),
            models.CheckConstraint(condition=Q(other=None) | ~Q(other=F("sample")), name="near_duplicate_of_another"),
            models.UniqueConstraint(
                fields=["search", "sample", "other", "reference"], nulls_distinct=False, name="near_duplicate_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sample} ~ {self.other or self.reference}: {self.similarity:.3f}"
