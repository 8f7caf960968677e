"""Whom the site tells of what happens in a study, and how each telling went."""

import base64
import secrets
import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models.accounts import User
from evalhub.studies.models.constraints import one_of
from evalhub.studies.models.studies import Study


class Event(models.TextChoices):
    SUBMISSION_COMPLETE = "submission.complete", "A submission is complete"
    RUN_DONE = "run.done", "A run of metrics has ended"
    FIT_CHANGED = "fit.changed", "A new ranking is frozen"
    STUDY_CLOSED = "study.closed", "The study is closed"
    PING = "ping", "A trial"


# What an owner can ask to be told of; a trial is sent by a button.
EVENTS = tuple(event for event in Event if event != Event.PING)


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class Webhook(models.Model):
    """An address that is told. Its secret signs what is sent; it has to be kept as it is, and is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="webhooks")
    address = models.URLField(max_length=500)
    events = ArrayField(models.CharField(max_length=24, choices=Event))
    secret = models.CharField(max_length=64, default=new_secret, editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    paused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "address"], name="webhook_address_once_per_study"),
            models.CheckConstraint(
                condition=Q(events__contained_by=list(Event.values), events__len__gt=0), name="webhook_events_known"
            ),
        ]

    def __str__(self) -> str:
        return self.address


class CallState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    DONE = "done", "Delivered"
    FAILED = "failed", "Given up"


class WebhookCall(models.Model):
    """One event on its way to one address. `attempts` is how often it was tried, `next_at` when it is tried again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="calls")
    event = models.CharField(max_length=24, choices=Event)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=CallState, default=CallState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP's, of the last answer.")
    said = models.CharField(
        max_length=500, blank=True, help_text="Beginning of the last answer, or why there was none."
    )
    seconds = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            one_of("event", Event, "webhook_call_event_known"),
            one_of("state", CallState, "webhook_call_state_known"),
            models.CheckConstraint(
                condition=Q(state=CallState.WAITING, ended_at=None)
                | (~Q(state=CallState.WAITING) & Q(ended_at__isnull=False)),
                name="webhook_call_ended_when_it_says_so",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], condition=Q(state=CallState.WAITING), name="webhook_call_due"),
            models.Index(fields=["webhook", "-created_at"], name="webhook_call_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"
