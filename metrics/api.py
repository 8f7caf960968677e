"""The API for programs: start runs, follow them, read scores. Everything goes through `access`."""

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Query, View
from evalhub.pages import CountedPages, Pages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_submission
from evalhub.studies.idempotency import idempotent
from metrics import examples, services
from metrics.access import get_run, runs_of
from metrics.engine.protocol import DTYPES, FID_RESIZES
from metrics.engine.registry import METRICS
from metrics.models import Run, RunState, Score, Shard


class ScoreSerializer(serializers.ModelSerializer):
    title = serializers.CharField(source="spec.title")
    unit = serializers.CharField(source="spec.unit")
    higher_is_better = serializers.BooleanField(source="spec.higher_is_better")
    warnings = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Score
        fields: ClassVar = [
            "metric",
            "title",
            "unit",
            "higher_is_better",
            "state",
            "value",
            "low",
            "high",
            "interval",
            "n",
            "warnings",
            "note",
            "fingerprint",
            "protocol",
            "details",
            "drift",
            "efficiency",
        ]


class ShardSerializer(serializers.ModelSerializer):
    images_per_second = serializers.FloatField(source="rate", allow_null=True)

    class Meta:
        model = Shard
        fields: ClassVar = [
            "index",
            "state",
            "attempts",
            "worker",
            "stage",
            "samples_done",
            "images_per_second",
            "problems",
            "error",
        ]


@example(told=examples.RUN)
class RunSerializer(serializers.ModelSerializer):
    submission = serializers.UUIDField(source="submission_id")
    protocol = serializers.SerializerMethodField()
    dtype = serializers.SerializerMethodField()
    samples_done = serializers.SerializerMethodField()
    images_per_second = serializers.SerializerMethodField()
    remaining_seconds = serializers.SerializerMethodField()
    scores = ScoreSerializer(many=True, source="scores_in_order")
    shards = ShardSerializer(many=True)
    url = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields: ClassVar = [
            "id",
            "submission",
            "url",
            "state",
            "stage",
            "error",
            "metrics",
            "protocol",
            "dtype",
            "automatic",
            "samples",
            "samples_done",
            "images_per_second",
            "remaining_seconds",
            "created_at",
            "started_at",
            "finished_at",
            "scores",
            "shards",
        ]

    def get_protocol(self, run: Run) -> str:
        return str(run.protocol["name"])

    def get_dtype(self, run: Run) -> str:
        return str(run.protocol["dtype"])

    def get_images_per_second(self, run: Run) -> float | None:
        return None if run.is_finished else run.progress().rate

    def get_samples_done(self, run: Run) -> int:
        return run.progress().done

    def get_remaining_seconds(self, run: Run) -> float | None:
        return None if run.is_finished else run.progress().remaining

    def get_url(self, run: Run) -> str:
        return settings.SITE_URL + reverse("run", args=[run.pk])


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": sorted(METRICS)}, "minItems": 1})
class MetricNames(serializers.ListField):
    """For the schema, which names them all; of one that there is not, the sentence says more."""


@example(asked=examples.START)
class StartSerializer(Body):
    metrics = MetricNames(
        child=serializers.CharField(max_length=40),
        required=False,
        max_length=len(METRICS),
        help_text="By name; without it the usual ones, as far as the study has the material.",
    )
    protocol = serializers.ChoiceField(
        choices=list(FID_RESIZES), default="clean", help_text="How FID and its like bring a picture to their network."
    )
    dtype = serializers.ChoiceField(choices=DTYPES, default="float32", help_text="The networks' arithmetic.")


@example(told=examples.CHOICE)
class ChoiceSerializer(serializers.Serializer):
    """One metric as it is offered for a submission."""

    metric = serializers.CharField(source="metric.name")
    title = serializers.CharField(source="metric.title")
    group = serializers.CharField()
    higher_is_better = serializers.BooleanField(source="metric.higher_is_better")
    summary = serializers.CharField(source="metric.summary")
    automatic = serializers.BooleanField(help_text="Whether the submission's own run takes it.")
    obstacle = serializers.CharField(help_text="Why it cannot be computed here; empty where it can.")
    waits = serializers.CharField(help_text="Why it would wait for weights; empty where they are there.")


class MetricQuery(Query):
    group = serializers.ChoiceField(choices=services.GROUPS, required=False)
    automatic = serializers.BooleanField(required=False, help_text="Whether the submission's own run takes it.")
    possible = serializers.BooleanField(required=False, help_text="Whether nothing is in the way of it here.")


class RunQuery(Query):
    state = serializers.ChoiceField(choices=RunState.choices, required=False)
    metric = serializers.ChoiceField(choices=sorted(METRICS), required=False, help_text="Only runs that take it.")


class RunPages(Pages):
    ordering = ("-created_at",)
    page_size = 20
    max_page_size = 100


class MetricsView(View):
    pagination_class = CountedPages
    queries = {"GET": MetricQuery}

    @extend_schema(operation_id="submission_metrics", responses=ChoiceSerializer(many=True))
    def get(self, request: Request, submission_id: UUID) -> Response:
        """Every metric that there is, and what is in the way of each for this submission."""
        submission = get_submission(Actor.of(request), submission_id, "see")
        found = [
            choice
            for choice in services.choices(submission)
            if self.asked.get("group", choice.group) == choice.group
            and self.asked.get("automatic", choice.automatic) == choice.automatic
            and self.asked.get("possible", not choice.obstacle) == (not choice.obstacle)
        ]
        return self.page(found, ChoiceSerializer)


class RunsView(View):
    pagination_class = RunPages
    queries = {"GET": RunQuery}
    rates = {"POST": "computing"}

    @extend_schema(operation_id="runs", responses=RunSerializer(many=True))
    def get(self, request: Request, submission_id: UUID) -> Response:
        """A submission's runs, the newest first."""
        submission = get_submission(Actor.of(request), submission_id, "see")
        found = runs_of(submission)
        if "state" in self.asked:
            found = found.filter(state=self.asked["state"])
        if "metric" in self.asked:
            found = found.filter(metrics__contains=[self.asked["metric"]])
        return self.page(found, RunSerializer)

    @extend_schema(
        operation_id="run_start",
        request=StartSerializer,
        responses={201: RunSerializer, **refused(409, 422)},
    )
    @idempotent
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Score a complete submission."""
        actor = Actor.of(request)
        submission = get_submission(actor, submission_id, "submit")
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted: dict[str, Any] = asked.validated_data
        run = services.start_run(
            submission=submission,
            metrics=wanted.get("metrics"),
            protocol=services.ProtocolChoice(wanted["protocol"], wanted["dtype"]),
            actor=actor.user,
        )
        return Response(_told(actor, run.pk), status=status.HTTP_201_CREATED)


class RunView(View):
    @extend_schema(operation_id="run", responses=RunSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        """How far a run has come, and its scores."""
        return Response(_told(Actor.of(request), run_id))


class CancelView(View):
    @extend_schema(operation_id="run_cancel", request=None, responses={200: RunSerializer, **refused(409)})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Stop a run that has not ended."""
        actor = Actor.of(request)
        services.cancel_run(run=get_run(actor, run_id, "submit"), actor=actor.user)
        return Response(_told(actor, run_id))


class RetryView(View):
    rate = "computing"

    @extend_schema(operation_id="run_retry", request=None, responses={200: RunSerializer, **refused(409)})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Take a failed or cancelled run up again where it stopped."""
        actor = Actor.of(request)
        services.retry_run(run=get_run(actor, run_id, "submit"), actor=actor.user)
        return Response(_told(actor, run_id))


def _told(actor: Actor, run_id: UUID) -> Any:
    return RunSerializer(get_run(actor, run_id, "see")).data
