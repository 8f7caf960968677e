"""Files, known by what is in them."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class MediaKind(models.TextChoices):
    IMAGE = "image", "Image"
    VIDEO = "video", "Video"


class Media(models.Model):
    """Bytes, addressed by their SHA-256 within one study, and what was read from the bytes themselves.

    The address is scoped to the study so that nobody can learn of, or claim, another team's file by its hash.
    """

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="media")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8, choices=MediaKind)
    format = models.CharField(max_length=16)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    frames = models.PositiveIntegerField(default=1)
    duration = models.FloatField(null=True, blank=True, help_text="Seconds; videos only.")
    fps = models.FloatField(null=True, blank=True)
    codec = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "media"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "sha256"], name="media_once_per_study"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="media_sha256_is_hex"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="media_has_pixels"),
        ]

    def __str__(self) -> str:
        return f"{self.format} {self.width}×{self.height} {self.sha256[:12]}"

    @property
    def path(self) -> str:
        """Where the bytes lie in the default storage."""
        return media_path(self.study_id, self.sha256)


def media_path(study_id: uuid.UUID, sha256: str) -> str:
    return f"studies/{study_id}/media/{sha256[:2]}/{sha256}"
