"""What every contestant is asked."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from evalhub.studies.models.media import Media


class Prompt(models.Model):
    """What every contestant was asked; for editing and restoration also what it was given and what is true."""

    study = models.ForeignKey("studies.Study", models.CASCADE, related_name="prompts")
    key = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    source_text = models.TextField(blank=True, help_text="What the source image shows, for editing.")
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    source = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    mask = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    reference = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "key"], name="prompt_key_once_per_study")]

    def __str__(self) -> str:
        return self.key
