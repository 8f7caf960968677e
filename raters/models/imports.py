"""Votes that were cast elsewhere, and came in by a file."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Study, User, one_of


class VoteImport(models.Model):
    """The votes that came in under one name, from one file or from the same one as it grew.

    Its raters are made from the file's, by a hash salted with this row's id: nothing in them leads to a person, and the
    same file finds the same raters again. Taking it back excludes all of them; nothing is deleted.
    """

    LONGEST_NAME = 30

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="vote_imports")
    name = models.CharField(max_length=LONGEST_NAME)
    sha256 = models.CharField(max_length=64, help_text="Of the newest file.")
    votes = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0, help_text="Lines of the newest file that were left out.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    taken_back_at = models.DateTimeField(null=True, blank=True)
    taken_back_because = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "name"], name="vote_import_name_once_per_study"),
            # The same file under two names would count everybody twice.
            models.UniqueConstraint(fields=["study", "sha256"], name="vote_import_file_once_per_study"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="vote_import_sha256_is_hex"),
            models.CheckConstraint(
                condition=Q(taken_back_at=None, taken_back_because="")
                | (Q(taken_back_at__isnull=False) & ~Q(taken_back_because="")),
                name="vote_import_taken_back_for_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def group(self) -> str:
        """Of its raters: rankings can be cut by it."""
        return f"imported: {self.name}"


class VoteFileState(models.TextChoices):
    LOOKING = "looking", "Being looked at"
    READY = "ready", "Looked at"
    ADDING = "adding", "Being added"
    ADDED = "added", "Added"
    REFUSED = "refused", "Refused"
    CANCELLED = "cancelled", "Cancelled"


class VoteFileQuerySet(models.QuerySet["VoteFile"]):
    def in_work(self) -> "VoteFileQuerySet":
        """Those that a worker is at, or has to be."""
        return self.filter(state__in=[VoteFileState.LOOKING, VoteFileState.ADDING])

    def open(self) -> "VoteFileQuerySet":
        """Those of which something may still come in."""
        return self.filter(state__in=OPEN)


OPEN = (VoteFileState.LOOKING, VoteFileState.READY, VoteFileState.ADDING)


class VoteFile(models.Model):
    """One file of votes on its way in: looked at by a worker, and added by a worker once somebody says so.

    Its bytes are kept while it is open. What JSON holds:

    - report: what it comes to, {"lines", "votes", "raters", "known", "left_out": numbers, "refused": [{"reason",
      "lines", "named": [sentence, …]}, …]}; {} until it was looked at.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="vote_files")
    name = models.CharField(max_length=VoteImport.LONGEST_NAME, help_text="Of the import that its votes come in by.")
    criterion = models.CharField(max_length=32, blank=True, help_text="Which question it answers, if it does not say.")
    leave_out = models.BooleanField(default=False, help_text="Whether lines without a place are passed over.")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    is_kept = models.BooleanField(default=True, help_text="Whether its bytes are in the storage.")
    state = models.CharField(max_length=9, choices=VoteFileState, default=VoteFileState.LOOKING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="At what its state says.")
    report = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True, help_text="Why nothing of it came in.")
    asked_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    asked_at = models.DateTimeField(default=timezone.now, help_text="When its state was asked for.")
    begun_at = models.DateTimeField(null=True, blank=True, help_text="When a worker last took it up.")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = VoteFileQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            one_of("state", VoteFileState, "vote_file_state_known"),
            # A second click finds what the first one made.
            models.UniqueConstraint(
                fields=["study", "name", "criterion", "sha256"],
                condition=Q(state__in=OPEN),
                name="vote_file_open_once",
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="vote_file_sha256_is_hex"),
            models.CheckConstraint(
                condition=~Q(state=VoteFileState.REFUSED) | ~Q(error=""), name="vote_file_refused_for_a_reason"
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at=None) | (~Q(state__in=OPEN) & Q(ended_at__isnull=False)),
                name="vote_file_ended_when_it_says_so",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        return f"studies/{self.study_id}/imports/{self.pk}.csv"

    @property
    def is_in_work(self) -> bool:
        return self.state in (VoteFileState.LOOKING, VoteFileState.ADDING)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN
