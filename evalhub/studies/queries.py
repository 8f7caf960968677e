"""By what the lists of studies and submissions are narrowed."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from evalhub.asking import Query, Text
from evalhub.studies.models import (
    EVENTS,
    CallState,
    EntryState,
    Event,
    Modality,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    TokenScope,
)

PLAIN = r"^[^\u0000]+$"


class StudyQuery(Query):
    state = serializers.ChoiceField(choices=StudyState.choices, required=False)
    modality = serializers.ChoiceField(choices=Modality.choices, required=False)


class PromptQuery(Query):
    tag = Text(PLAIN, required=False, help_text="Only prompts with this tag.")


class SubmissionQuery(Query):
    state = serializers.ChoiceField(choices=SubmissionState.choices, required=False)
    checkpoint = Text(PLAIN, required=False, help_text="Of checkpoints with this name.")
    family = Text(PLAIN, required=False, help_text="Of checkpoints of this family.")
    step = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False, help_text="Of this step.")
    since = serializers.DateTimeField(required=False, help_text="Begun then or later.")
    withdrawn = serializers.BooleanField(required=False, help_text="Whether their checkpoint is withdrawn.")


class MissingQuery(Query):
    state = serializers.ChoiceField(
        choices=[(each.value, each.label) for each in EntryState if each != EntryState.RECEIVED],
        required=False,
        help_text="`bad` is what arrived and did not do.",
    )


class TokenQuery(Query):
    scope = serializers.ChoiceField(choices=TokenScope.choices, required=False)
    study = Text(PLAIN, required=False, help_text="Bound to the study with this slug.")


class WebhookQuery(Query):
    event = serializers.ChoiceField(choices=[event.value for event in EVENTS], required=False)


class CallQuery(Query):
    event = serializers.ChoiceField(choices=Event.choices, required=False)
    state = serializers.ChoiceField(choices=CallState.choices, required=False)


def narrowed_studies(studies: QuerySet[Study], asked: Mapping[str, Any]) -> QuerySet[Study]:
    return studies.filter(**asked)


def narrowed_submissions(submissions: QuerySet[Submission], asked: Mapping[str, Any]) -> QuerySet[Submission]:
    lookups = {
        "state": "state",
        "checkpoint": "checkpoint__name",
        "family": "checkpoint__family",
        "step": "checkpoint__step",
        "since": "created_at__gte",
    }
    submissions = submissions.filter(**{lookups[name]: value for name, value in asked.items() if name in lookups})
    if "withdrawn" in asked:
        submissions = submissions.filter(checkpoint__withdrawn_at__isnull=not asked["withdrawn"])
    return submissions
