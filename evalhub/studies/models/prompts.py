"""What every contestant is asked, and lists of it that wait to be looked at."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from evalhub.studies.models.media import Media


class Prompt(models.Model):
    """What every contestant was asked; for editing and restoration also what it was given and what is true."""

    GIVEN = ("source", "mask", "reference")  # the media it may have

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
        # A page of many prompts, the last one too, sorts none.
        indexes: ClassVar = [models.Index(fields=["study", "position", "id"], name="prompt_in_order")]

    def __str__(self) -> str:
        return self.key


class PromptList(models.Model):
    """A list as it was read, before an owner has looked at it: kept it becomes prompts, put away it leaves nothing.

    Its pictures and videos are media of the study already, checked like any other.
    """

    study = models.OneToOneField("studies.Study", models.CASCADE, related_name="waiting_prompts", primary_key=True)
    # Each a mapping: line, key, text, source_text, tags, and the media's ids as source, mask and reference.
    lines = models.JSONField(default=list)
    # Each a mapping: line (0 for what concerns no single one) and says, a sentence.
    problems = models.JSONField(default=list)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{len(self.lines)} prompts that wait in {self.study}"
