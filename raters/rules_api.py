"""Known answers and the rules for raters, for programs: the same services and the same sentences as the pages."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from evalhub.studies.access import Actor, get_study
from raters.api import RaterPages
from raters.models import Gold, GoldUse, RaterRules
from raters.services import gold_lists, golds
from raters.services.rules import accounts, change_rules, rules_of


class KnownAnswerSerializer(serializers.Serializer):
    """A pair of which the better side is known. Checkpoints by name, with `@` and the step if they have one."""

    id = serializers.IntegerField(read_only=True)
    prompt = serializers.CharField(max_length=200, help_text="The prompt's key.")
    better = serializers.CharField(max_length=200)
    worse = serializers.CharField(max_length=200)
    criterion = serializers.CharField(
        max_length=32, required=False, allow_blank=True, default="", help_text="A question's key; empty for all."
    )
    use = serializers.ChoiceField(choices=GoldUse.choices)
    explanation = serializers.CharField(
        max_length=golds.LONGEST_EXPLANATION, required=False, allow_blank=True, default="", help_text="Markdown."
    )
    retired_at = serializers.DateTimeField(read_only=True)
    asked = serializers.IntegerField(read_only=True, help_text="Raters who answered it.")
    missed = serializers.IntegerField(read_only=True, help_text="Those of them who did not find it.")
    suspect = serializers.BooleanField(
        read_only=True, help_text="Most raters who find the others miss it, so it may be wrong itself."
    )


class RulesSerializer(serializers.ModelSerializer):
    """Null asks for nothing. Shares run from 0 to 1."""

    currency = serializers.CharField(max_length=3, required=False)

    class Meta:
        model = RaterRules
        exclude = ("study",)


class DecisionSerializer(serializers.Serializer):
    yes = serializers.BooleanField(source="is_yes")
    reasons = serializers.ListField(child=serializers.CharField())


class AccountSerializer(serializers.Serializer):
    """What one rater did, what she is due, and whether her answers are used."""

    rater = serializers.UUIDField(source="enrolment.rater_id")
    group = serializers.CharField(source="enrolment.group")
    answered = serializers.IntegerField(source="record.answered")
    gold_hits = serializers.IntegerField(source="record.gold_hits")
    gold_total = serializers.IntegerField(source="record.gold_total")
    repeat_hits = serializers.IntegerField(source="record.repeat_hits")
    repeat_total = serializers.IntegerField(source="record.repeat_total")
    median_seconds = serializers.FloatField(source="record.median_seconds", allow_null=True)
    pay = DecisionSerializer()
    amount = serializers.DecimalField(max_digits=14, decimal_places=2, allow_null=True)
    use = DecisionSerializer(help_text="What the rule says; an owner may have decided otherwise.")
    excluded_at = serializers.DateTimeField(source="enrolment.excluded_at", allow_null=True)
    exclusion_reason = serializers.CharField(source="enrolment.exclusion_reason")
    withdrawn_at = serializers.DateTimeField(source="enrolment.withdrawn_at", allow_null=True)


class KnownAnswersView(ListAPIView):
    serializer_class = KnownAnswerSerializer
    pagination_class = RaterPages

    @extend_schema(operation_id="list_known_answers")
    def get(self, request: Request, slug: str) -> Response:
        """All known answers, the retired among them, with how raters do on each; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        found = golds.found_by_raters(study)
        listed = study.golds.select_related(
            "better__checkpoint", "worse__checkpoint", "better__prompt", "criterion"
        ).all()
        page: Any = self.paginate_queryset(listed)
        return self.get_paginated_response([_shown(gold, found.get(gold.pk, golds.Found())) for gold in page])

    @extend_schema(
        operation_id="add_known_answer", request=KnownAnswerSerializer, responses={201: KnownAnswerSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Note which of two outputs for a prompt is the better one; for owners."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        given = KnownAnswerSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        pair = gold_lists.resolve(study, given.validated_data)
        gold = golds.add_gold(study=study, actor=actor.user, **pair)
        return Response(_shown(gold, golds.Found()), status=201)


class RetirementView(APIView):
    @extend_schema(operation_id="retire_known_answer", request=None, responses=KnownAnswerSerializer)
    def post(self, request: Request, slug: str, gold_id: int) -> Response:
        """Use a known answer no more; a second call changes nothing. For owners."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        gold = golds.retire_gold(gold=get_object_or_404(Gold, study=study, pk=gold_id), actor=actor.user)
        return Response(_shown(gold, golds.found_by_raters(study).get(gold.pk, golds.Found())))


class RulesView(APIView):
    @extend_schema(operation_id="get_rater_rules", responses=RulesSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """What the study asks of its raters, pays them for, and whose answers it uses; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        return Response(RulesSerializer(rules_of(study)).data)

    @extend_schema(operation_id="change_rater_rules", request=RulesSerializer, responses=RulesSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Set the rules that are given; for owners. Those for using answers take effect with the next ranking."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        given = RulesSerializer(rules_of(study), data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        values = {name: value for name, value in given.validated_data.items() if name in request.data}
        return Response(RulesSerializer(change_rules(study=study, actor=actor.user, **values)).data)


class AccountsView(APIView):
    @extend_schema(operation_id="list_rater_accounts", responses=AccountSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """For each person who has answered anything: what the rules come to, and why; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        return Response(AccountSerializer(accounts(study), many=True).data)


def _shown(gold: Gold, found: golds.Found) -> dict[str, Any]:
    return {
        "id": gold.pk,
        **gold_lists.row_of(gold),
        "retired_at": gold.retired_at,
        "asked": found.asked,
        "missed": found.missed,
        "suspect": found.is_suspect,
    }
