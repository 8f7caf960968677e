"""The real images that distances between sets compare with, and their statistics."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from evalhub.studies.models import Media, Study
from metrics.models.features import CachedFile


class Reference(models.Model):
    """The real images that FID and KID compare with: a named, ordered list of media that never changes."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="references")
    name = models.CharField(max_length=120)
    licence = models.CharField(
        max_length=200, blank=True, help_text="Under what terms its images may be used, as whoever imported them says."
    )
    imported_at = models.DateTimeField(
        null=True, blank=True, help_text="When it came from a folder; none for those made of prompts' references."
    )
    media = models.ManyToManyField(Media, through="ReferenceImage", related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "name"], name="reference_name_once")]

    def __str__(self) -> str:
        return self.name


class ReferenceImage(models.Model):
    reference = models.ForeignKey(Reference, models.CASCADE, related_name="images")
    media = models.ForeignKey(Media, models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["reference", "position"], name="reference_order")]

    def __str__(self) -> str:
        return f"{self.position} of {self.reference}"


class ReferenceStatistics(models.Model):
    """Cached statistics of a reference under one column's fingerprint; the numbers lie in a file of the cache."""

    reference = models.ForeignKey(Reference, models.CASCADE, related_name="statistics")
    fingerprint = models.CharField(max_length=64)
    file = models.ForeignKey(CachedFile, models.CASCADE, related_name="statistics")
    n = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "reference statistics"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reference", "fingerprint"], name="reference_statistics_once")
        ]

    def __str__(self) -> str:
        return f"{self.reference} under {self.fingerprint[:12]}"
