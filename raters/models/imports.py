"""Votes that were cast elsewhere, and came in by a file."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Study, User


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
