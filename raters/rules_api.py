"""Known answers and the rules for raters, for programs: the same services and the same sentences as the pages."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Query, Text, View
from evalhub.pages import CountedPages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from raters import examples
from raters.api import PLAIN
from raters.models import Gold, GoldUse, RaterRules
from raters.services import gold_lists, golds
from raters.services.rules import accounts, change_rules, rules_of


@example(told=examples.KNOWN_ANSWER, asked=examples.NEW_KNOWN_ANSWER)
class KnownAnswerSerializer(Body):
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
    retired_at = serializers.DateTimeField(read_only=True, allow_null=True)
    asked = serializers.IntegerField(read_only=True, help_text="Raters who answered it.")
    missed = serializers.IntegerField(read_only=True, help_text="Those of them who did not find it.")
    suspect = serializers.BooleanField(
        read_only=True, help_text="Most raters who find the others miss it, so it may be wrong itself."
    )


@example(told=examples.RULES, asked=examples.CHANGED_RULES)
class RulesSerializer(Body, serializers.ModelSerializer):
    """Null asks for nothing. Shares run from 0 to 1."""

    currency = serializers.CharField(max_length=3, required=False)

    class Meta:
        model = RaterRules
        exclude = ("study",)


class DecisionSerializer(serializers.Serializer):
    yes = serializers.BooleanField(source="is_yes")
    reasons = serializers.ListField(child=serializers.CharField())


@example(told=examples.ACCOUNT)
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


class KnownAnswerQuery(Query):
    use = serializers.ChoiceField(choices=GoldUse.choices, required=False)
    prompt = Text(PLAIN, required=False, help_text="A prompt's key.")
    retired = serializers.BooleanField(required=False)


class AccountQuery(Query):
    group = Text(PLAIN, required=False)


class KnownAnswersView(View):
    pagination_class = CountedPages
    queries = {"GET": KnownAnswerQuery}

    @extend_schema(operation_id="list_known_answers", responses=KnownAnswerSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """All known answers, the retired among them, with how raters do on each; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        listed = study.golds.select_related("better__checkpoint", "worse__checkpoint", "better__prompt", "criterion")
        lookups = {"use": "use", "prompt": "better__prompt__key"}
        listed = listed.filter(**{lookups[name]: value for name, value in self.asked.items() if name in lookups})
        if "retired" in self.asked:
            listed = listed.filter(retired_at__isnull=not self.asked["retired"])
        found, page = golds.found_by_raters(study), self.paginate_queryset(listed.all()) or []
        return self.get_paginated_response([_shown(gold, found.get(gold.pk, golds.Found())) for gold in page])

    @extend_schema(
        operation_id="add_known_answer",
        request=KnownAnswerSerializer,
        responses={201: KnownAnswerSerializer, **refused(409, 422)},
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


class RetirementView(View):
    @extend_schema(operation_id="retire_known_answer", request=None, responses=KnownAnswerSerializer)
    def post(self, request: Request, slug: str, gold_id: int) -> Response:
        """Use a known answer no more; a second call changes nothing. For owners."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        gold = golds.retire_gold(gold=get_object_or_404(Gold, study=study, pk=gold_id), actor=actor.user)
        return Response(_shown(gold, golds.found_by_raters(study).get(gold.pk, golds.Found())))


class RulesView(View):
    @extend_schema(operation_id="get_rater_rules", responses=RulesSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """What the study asks of its raters, pays them for, and whose answers it uses; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        return Response(RulesSerializer(rules_of(study)).data)

    @extend_schema(
        operation_id="change_rater_rules", request=RulesSerializer, responses={200: RulesSerializer, **refused(422)}
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Set the rules that are given; for owners. Those for using answers take effect with the next ranking."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        given = RulesSerializer(rules_of(study), data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        values = {name: value for name, value in given.validated_data.items() if name in request.data}
        return Response(RulesSerializer(change_rules(study=study, actor=actor.user, **values)).data)


class AccountsView(View):
    pagination_class = CountedPages
    queries = {"GET": AccountQuery}

    @extend_schema(operation_id="list_rater_accounts", responses=AccountSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """For each person who has answered anything: what the rules come to, and why; for owners."""
        study = get_study(Actor.of(request), slug, "manage")
        found = accounts(study)
        if "group" in self.asked:
            found = [one for one in found if one.enrolment.group == self.asked["group"]]
        return self.page(found, AccountSerializer)


def _shown(gold: Gold, found: golds.Found) -> dict[str, Any]:
    return {
        "id": gold.pk,
        **gold_lists.row_of(gold),
        "retired_at": gold.retired_at,
        "asked": found.asked,
        "missed": found.missed,
        "suspect": found.is_suspect,
    }
