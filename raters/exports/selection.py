"""Which votes are taken home."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef
from rest_framework import serializers

from evalhub.asking import Query
from evalhub.problems import Refusal
from evalhub.studies.models import Criterion, Study
from raters.models import Control, Enrolment, EnrolmentState, Standing, Vote, VoteQuerySet

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Selection:
    """As `SelectionSerializer` says; empty ones narrow nothing."""

    criterion: Criterion | None = None
    tags: tuple[str, ...] = ()
    least_votes: int = 1
    least_agreement: float = 0.0
    least_trust: float = 0.0
    decided: bool = False
    simulated: bool = False
    controls: bool = False
    excluded: bool = False
    cast_here: bool = False
    split: str = ""
    validation_share: float = 0.0
    test_share: float = 0.1

    def votes(self, study: Study) -> VoteQuerySet:
        """The standing votes that are taken, of every split. Whoever has withdrawn her consent is in none."""
        votes = Vote.objects.filter(study=study).latest_revisions()
        of_rater = Enrolment.objects.filter(study=study, rater=OuterRef("rater"))
        votes = votes.filter(~Exists(of_rater.filter(state=EnrolmentState.WITHDRAWN)))
        if self.criterion is not None:
            votes = votes.filter(criterion=self.criterion)
        if self.tags:
            votes = votes.filter(prompt__tags__overlap=list(self.tags))
        if not self.simulated:
            votes = votes.filter(simulated=False)
        if not self.controls:
            votes = votes.filter(control=Control.NONE)
        if not self.excluded:
            votes = votes.filter(~Exists(of_rater.filter(excluded_at__isnull=False)))
        if self.cast_here:
            votes = votes.filter(~Exists(of_rater.filter(vote_import__isnull=False)))
        if self.least_trust > 0:
            trusted = Standing.objects.filter(
                enrolment__study=study, enrolment__rater=OuterRef("rater"), criterion=OuterRef("criterion")
            )
            votes = votes.filter(Exists(trusted.filter(weight__gte=self.least_trust)))
        return votes

    @property
    def said(self) -> dict[str, Any]:
        """For people and metadata: what was asked for, by its name."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return told | {"criterion": self.criterion.key if self.criterion else "", "tags": list(self.tags)}


class SelectionSerializer(Query):
    """The query of every export."""

    criterion = serializers.CharField(default="", allow_blank=True, help_text="A criterion's key; all by default.")
    tags = serializers.CharField(default="", allow_blank=True, help_text="Only prompts with any of these; with commas.")
    least_votes = serializers.IntegerField(default=1, min_value=1, help_text="Of a pair, for preferences and rewards.")
    least_agreement = serializers.FloatField(
        default=0.0, min_value=0, max_value=1, help_text="Share of a pair's votes for the most frequent answer."
    )
    least_trust = serializers.FloatField(
        default=0.0, min_value=0, max_value=1, help_text="Mean trust in a rater's votes as of the newest ranking."
    )
    decided = serializers.BooleanField(default=False, help_text="Whether only decided pairs are in.")
    simulated = serializers.BooleanField(default=False, help_text="Whether simulated raters' votes are in.")
    controls = serializers.BooleanField(default=False, help_text="Whether known answers and repeats are in.")
    excluded = serializers.BooleanField(default=False, help_text="Whether excluded raters' votes are in.")
    cast_here = serializers.BooleanField(default=False, help_text="Whether imported votes are left out.")
    split = serializers.ChoiceField(
        choices=SPLITS, default="", allow_blank=True, help_text="Only its prompts; no prompt is in two splits."
    )
    validation_share = serializers.FloatField(default=0.0, min_value=0, max_value=1, help_text="Of the prompts.")
    test_share = serializers.FloatField(default=0.1, min_value=0, max_value=1, help_text="Of the prompts.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["validation_share"] + attrs["test_share"] > 1:
            raise Refusal("validation_share and test_share are at most 1 together; lower one of them.")
        return attrs


def select(study: Study, query: Mapping[str, Any]) -> Selection:
    """The selection that a query asks for. ValidationError or Refusal, in sentences, for one that cannot be read."""
    # A plain mapping: of a form's query, what is not there counts as false.
    asked = SelectionSerializer(data=dict(query.items()))
    asked.is_valid(raise_exception=True)
    values = dict(asked.validated_data)
    key = values.pop("criterion")
    criterion = study.criteria.filter(key=key).first() if key else None
    if key and criterion is None:
        known = ", ".join(study.criteria.values_list("key", flat=True))
        raise Refusal(f"The study has no criterion “{key}”; it has {known}.")
    tags = tuple(dict.fromkeys(tag.strip() for tag in values.pop("tags").split(",") if tag.strip()))
    return Selection(criterion=criterion, tags=tags, **values)
