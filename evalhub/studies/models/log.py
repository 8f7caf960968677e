"""Who did what, for ever."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone

from evalhub.studies.models.accounts import User
from evalhub.studies.models.studies import Study


class LogEntry(models.Model):
    """What somebody did that can change a result. Rows are only ever added."""

    study = models.ForeignKey(Study, models.CASCADE, null=True, related_name="log")
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    verb = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    details = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "log entries"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"

    @classmethod
    def write(cls, *, study: Study | None, actor: User | None, verb: str, subject: Any, **details: Any) -> "LogEntry":
        return cls.objects.create(study=study, actor=actor, verb=verb, subject=str(subject)[:200], details=details)
