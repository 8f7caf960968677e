"""Raters and ship tests for programs."""

from typing import Protocol
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Query, Text, View
from evalhub.pages import CountedPages
from evalhub.problems import Refusal
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Criterion, Study
from raters import examples, services
from raters.models import Enrolment, EnrolmentState, Outcome, Standing
from raters.views.review import raters_of
from raters.views.ship import ship_tests_of

PLAIN = r"^[^\u0000]+$"


class CriterionQuery(Query):
    criterion = Text(PLAIN, required=False, help_text="A criterion's key.")


class RaterQuery(Query):
    criterion = Text(PLAIN, required=False, help_text="Whose standing is told: a key; the study's first by default.")
    state = serializers.ChoiceField(choices=EnrolmentState.choices, required=False)
    group = Text(PLAIN, required=False)
    excluded = serializers.BooleanField(required=False, help_text="Whether her votes are left out.")
    simulated = serializers.BooleanField(required=False)


class StandingSerializer(serializers.ModelSerializer):
    """One rater beside the newest ranking; null where her votes cannot tell."""

    class Meta:
        model = Standing
        exclude = ("id", "enrolment", "criterion")


class Reviewed(Protocol):
    """An enrolment as `raters_of` gives it."""

    on_criterion: list[Standing]


@example(told=examples.RATER)
class RaterSerializer(serializers.Serializer):
    rater = serializers.UUIDField(source="rater_id")
    simulated = serializers.BooleanField(source="rater.simulated")
    group = serializers.CharField()
    state = serializers.CharField()
    excluded_at = serializers.DateTimeField(allow_null=True)
    exclusion_reason = serializers.CharField()
    standing = serializers.SerializerMethodField()

    @extend_schema_field(StandingSerializer(allow_null=True))
    def get_standing(self, enrolment: Reviewed) -> dict[str, object] | None:
        found = enrolment.on_criterion
        return StandingSerializer(found[0]).data if found else None


@example(asked=examples.EXCLUSION)
class ExclusionSerializer(Body):
    reason = serializers.CharField(
        allow_blank=True, max_length=500, help_text="Why her votes are left out; empty lets them in again."
    )


class VerdictSerializer(serializers.Serializer):
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    difference = serializers.FloatField(allow_null=True, help_text="Candidate less baseline, in Elo.")
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    more_votes = serializers.IntegerField(allow_null=True, help_text="About so many between the two would decide.")
    votes = serializers.IntegerField(help_text="Answers counted: those after the registration.")
    sentence = serializers.CharField()
    fit = serializers.UUIDField(source="fit_id")
    at = serializers.DateTimeField(source="fit.created_at")


@example(told=examples.SHIP_TEST)
class ShipTestSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="margin.pk")
    criterion = serializers.CharField(source="margin.criterion.key")
    candidate = serializers.CharField(source="margin.candidate")
    baseline = serializers.CharField(source="margin.baseline")
    margin = serializers.FloatField(source="margin.margin", help_text="Elo.")
    registered_at = serializers.DateTimeField(source="margin.registered_at")
    after_vote = serializers.IntegerField(source="margin.after_vote", help_text="Only votes with a higher id count.")
    withdrawn_at = serializers.DateTimeField(source="margin.withdrawn_at", allow_null=True)
    withdrawal_reason = serializers.CharField(source="margin.withdrawal_reason")
    verdict = VerdictSerializer(allow_null=True, help_text="The newest.")
    decided = VerdictSerializer(allow_null=True, help_text="The first that was not undecided.")


class RatersView(View):
    pagination_class = CountedPages
    queries = {"GET": RaterQuery}

    @extend_schema(operation_id="list_raters", responses={200: RaterSerializer(many=True), **refused(422)})
    def get(self, request: Request, slug: str) -> Response:
        """Every rater with her standing beside the newest ranking, the least trusted first; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        found = raters_of(study, _criterion(study, self.asked.get("criterion", "")))
        lookups = {"state": "state", "group": "group", "simulated": "rater__simulated"}
        found = found.filter(**{lookups[name]: value for name, value in self.asked.items() if name in lookups})
        if "excluded" in self.asked:
            found = found.filter(excluded_at__isnull=not self.asked["excluded"])
        return self.page(found, RaterSerializer)


class ExclusionView(View):
    @extend_schema(
        operation_id="exclude_rater", request=ExclusionSerializer, responses={200: RaterSerializer, **refused(422)}
    )
    def post(self, request: Request, slug: str, rater_id: UUID) -> Response:
        """Leave a rater's votes out of the rankings, for a reason, or let them in again; for owners. It is logged."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = ExclusionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        enrolment = get_object_or_404(Enrolment.objects.select_related("rater", "study"), study=study, rater=rater_id)
        services.set_exclusion(enrolment=enrolment, reason=asked.validated_data["reason"], actor=actor.user)
        changed = raters_of(study, _criterion(study, "")).get(pk=enrolment.pk)
        return Response(RaterSerializer(changed).data)


class ShipTestsView(View):
    pagination_class = CountedPages
    queries = {"GET": CriterionQuery}

    @extend_schema(operation_id="list_ship_tests", responses={200: ShipTestSerializer(many=True), **refused(422)})
    def get(self, request: Request, slug: str) -> Response:
        """All margins ever registered, the newest first, with what the votes since then say."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "see")
        found = ship_tests_of(study, actor)
        if "criterion" in self.asked:
            criterion = _criterion(study, self.asked["criterion"])
            found = [one for one in found if one.margin.criterion == criterion]
        return self.page(found, ShipTestSerializer)


def _criterion(study: Study, key: str) -> Criterion:
    criteria = {criterion.key: criterion for criterion in study.criteria.all()}
    if key and key not in criteria:
        raise Refusal(f"The study has no criterion “{key}”; it has {', '.join(criteria)}.")
    return criteria[key] if key else next(iter(criteria.values()))
