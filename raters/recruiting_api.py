"""Ways in and visits, for programs: the same services and the same sentences as the pages. For owners."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Query, Text, View
from evalhub.pages import Pages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from raters import examples
from raters.models import Platform, Recruitment, VisitOutcome
from raters.services.recruiting import close_recruitment, open_recruitment
from raters.views.recruiting import address_of, visits_of, with_visits

CODE = "^([A-Za-z0-9][A-Za-z0-9_-]*)?$"


@example(told=examples.RECRUITMENT, asked=examples.NEW_RECRUITMENT)
class RecruitmentSerializer(Body):
    """A way in for raters without accounts. An open link's address is for people, the others' for their platform."""

    id = serializers.UUIDField(read_only=True)
    platform = serializers.ChoiceField(choices=Platform.choices)
    name = serializers.CharField(max_length=40, help_text="Becomes the group of whoever comes this way.")
    comparisons = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, allow_null=True, default=None, help_text="A visit is complete after so many."
    )
    completion_code = Text(CODE, max_length=64, allow_blank=True, default="")
    screened_out_code = Text(CODE, max_length=64, allow_blank=True, default="")
    no_consent_code = Text(CODE, max_length=64, allow_blank=True, default="")
    address = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    closed_at = serializers.DateTimeField(read_only=True, allow_null=True)
    came = serializers.IntegerField(read_only=True, help_text="Visits, of all outcomes.")
    under_way = serializers.IntegerField(read_only=True)
    completed = serializers.IntegerField(read_only=True)
    screened_out = serializers.IntegerField(read_only=True)
    no_consent = serializers.IntegerField(read_only=True)

    def get_address(self, recruitment: Recruitment) -> str:
        return address_of(self.context["request"], recruitment)


@example(told=examples.VISIT)
class VisitSerializer(serializers.Serializer):
    """One coming of one person. The platform's numbers are personal data."""

    visit = serializers.UUIDField(source="key")
    participant = serializers.CharField()
    session = serializers.CharField()
    platform_study = serializers.CharField(source="external_study")
    rater = serializers.UUIDField(source="enrolment.rater_id")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    minutes = serializers.FloatField(help_text="Until now, while it is under way.")
    answers = serializers.IntegerField(help_text="Given in that time; practice and qualification apart.")
    outcome = serializers.ChoiceField(choices=VisitOutcome.choices, help_text="Empty while it is under way.")


class RecruitmentQuery(Query):
    platform = serializers.ChoiceField(choices=Platform.choices, required=False)
    closed = serializers.BooleanField(required=False, help_text="Whether nobody new is let in.")


class VisitQuery(Query):
    outcome = serializers.ChoiceField(choices=[each for each in VisitOutcome.choices if each[0]], required=False)
    since = serializers.DateTimeField(required=False, help_text="Begun then or later.")


class RecruitmentPages(Pages):
    ordering = ("-created_at",)


class VisitPages(Pages):
    ordering = ("-started_at", "-id")


class RecruitmentsView(View):
    pagination_class = RecruitmentPages
    queries = {"GET": RecruitmentQuery}

    @extend_schema(operation_id="list_recruitments", responses=RecruitmentSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """All ways in, the newest first, with what became of who came."""
        found = with_visits(get_study(Actor.of(request), slug, "manage"))
        if "platform" in self.asked:
            found = found.filter(platform=self.asked["platform"])
        if "closed" in self.asked:
            found = found.filter(closed_at__isnull=not self.asked["closed"])
        return self.page(found, RecruitmentSerializer, request=request)

    @extend_schema(
        operation_id="create_recruitment",
        request=RecruitmentSerializer,
        responses={201: RecruitmentSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a way in. A platform's completion code is made where none is given."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = RecruitmentSerializer(data=request.data, context={"request": request})
        asked.is_valid(raise_exception=True)
        made = open_recruitment(study=study, actor=actor.user, **asked.validated_data)
        return Response(_shown(request, made), status=201)


class RecruitmentClosureView(View):
    @extend_schema(operation_id="close_recruitment", request=None, responses=RecruitmentSerializer)
    def post(self, request: Request, slug: str, recruitment_id: UUID) -> Response:
        """Let nobody new in. Whoever came before goes on."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        found = get_object_or_404(study.recruitments, pk=recruitment_id)
        close_recruitment(recruitment=found, actor=actor.user)
        return Response(_shown(request, found))


class VisitsView(View):
    pagination_class = VisitPages
    queries = {"GET": VisitQuery}

    @extend_schema(operation_id="list_visits", responses=VisitSerializer(many=True))
    def get(self, request: Request, slug: str, recruitment_id: UUID) -> Response:
        """Who came by one way in, the newest first."""
        study = get_study(Actor.of(request), slug, "manage")
        found = visits_of(get_object_or_404(study.recruitments, pk=recruitment_id))
        if "outcome" in self.asked:
            found = found.filter(outcome=self.asked["outcome"])
        if "since" in self.asked:
            found = found.filter(started_at__gte=self.asked["since"])
        return self.page(found, VisitSerializer)


def _shown(request: Request, recruitment: Recruitment) -> dict[str, Any]:
    found = with_visits(recruitment.study).get(pk=recruitment.pk)
    shown: dict[str, Any] = RecruitmentSerializer(found, context={"request": request}).data
    return shown
