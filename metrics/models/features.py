"""The cache of features: files in storage, and which row of which file holds what.

The cache is the study's own, like its media, so that nobody learns from a quick answer what another team has.
"""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from evalhub.studies.models import Study, one_of


class FileState(models.TextChoices):
    WRITING = "writing", "Being written"
    KEPT = "kept", "Kept"
    CONDEMNED = "condemned", "To be deleted"


class CachedFile(models.Model):
    """A file of features in storage: a shard's block, or a reference's statistics.

    The row is there before the file and goes after it, so that no file is forgotten whenever a process dies.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="+")
    path = models.CharField(max_length=300, unique=True)
    state = models.CharField(max_length=10, choices=FileState, default=FileState.WRITING)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now, help_text="When a run last found something in it.")

    class Meta:
        constraints: ClassVar = [one_of("state", FileState, "cached_file_state_known")]
        # Eviction takes the least recently used first, and looks for what is to be deleted.
        indexes: ClassVar = [
            models.Index(fields=["state", "used_at"], name="cached_file_by_use", include=["size"]),
        ]

    def __str__(self) -> str:
        return self.path


class FeatureRow(models.Model):
    """In which file and row one value of one column's fingerprint lies."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=64)
    key = models.CharField(
        max_length=200, help_text="The SHA-256 of what went in: an image, a caption, or an image and its partners."
    )
    file = models.ForeignKey(CachedFile, models.CASCADE, related_name="rows")
    row = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "fingerprint", "key"], name="features_once")]

    def __str__(self) -> str:
        return f"{self.file} row {self.row}"
