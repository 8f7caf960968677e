"""Requests that were answered: a program that did not hear the answer may ask again, and nothing is done twice."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from evalhub.studies.models.accounts import User


class IdempotencyKey(models.Model):
    """One answer to one request of one person. The row and what the request did are committed together."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the method, the address and the body.")
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            # Of two requests with one key the second waits here until the first has committed.
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once_per_user")
        ]
        indexes: ClassVar = [
            # The sweep finds what has expired.
            models.Index(fields=["created_at"], name="idempotency_key_by_age")
        ]

    def __str__(self) -> str:
        return self.key
