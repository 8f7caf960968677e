"""Webhooks for programs."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, View
from evalhub.pages import Pages
from evalhub.schema import example, refused
from evalhub.studies import examples
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import EVENTS, Webhook, WebhookCall
from evalhub.studies.queries import CallQuery, WebhookQuery
from evalhub.studies.services import webhooks


@example(told=examples.WEBHOOK)
class WebhookSerializer(serializers.ModelSerializer):
    events = serializers.ListField(child=serializers.ChoiceField(choices=[event.value for event in EVENTS]))

    class Meta:
        model = Webhook
        fields = ("id", "address", "events", "created_at", "paused_at")
        read_only_fields = ("id", "created_at", "paused_at")


@example(asked=examples.NEW_WEBHOOK)
class AddWebhookSerializer(Body):
    address = serializers.URLField(max_length=500, help_text="https, and not of the site's own network.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=[event.value for event in EVENTS]), min_length=1, max_length=len(EVENTS)
    )


@example(told=examples.WEBHOOK | {"secret": "whsec_…"})
class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(read_only=True)

    class Meta:
        model = Webhook
        fields = ("id", "address", "events", "created_at", "paused_at", "secret")
        read_only_fields = ("id", "created_at", "paused_at", "secret")


@example(asked={"paused": True})
class PauseSerializer(Body):
    paused = serializers.BooleanField(required=False)


@example(told=examples.CALL)
class CallSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookCall
        fields = (
            *("id", "event", "payload", "state", "attempts", "next_at", "status", "said", "seconds", "created_at"),
            "ended_at",
        )


class CallPages(Pages):
    ordering = ("-created_at",)


class WebhookPages(Pages):
    ordering = ("created_at",)


class WebhooksView(View):
    pagination_class = WebhookPages
    queries = {"GET": WebhookQuery}

    @extend_schema(operation_id="list_webhooks", responses=WebhookSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Whom the study tells of what happens; for owners. Secrets are not shown again."""
        found = get_study(Actor.of(request), slug, "manage").webhooks.all()
        if "event" in self.asked:
            found = found.filter(events__contains=[self.asked["event"]])
        return self.page(found, WebhookSerializer)

    @extend_schema(
        operation_id="add_webhook",
        request=AddWebhookSerializer,
        responses={201: NewWebhookSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Tell an address from now on. The answer holds the secret that signs, this once."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = AddWebhookSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        made = webhooks.create_webhook(
            study=study, actor=actor.user, address=values["address"], events=values["events"]
        )
        return Response(NewWebhookSerializer(made).data, status=status.HTTP_201_CREATED)


class WebhookView(View):
    @extend_schema(operation_id="pause_webhook", request=PauseSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Pause it, or resume it."""
        actor, webhook = _webhook(request, slug, webhook_id)
        asked = PauseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if "paused" in asked.validated_data:
            paused = asked.validated_data["paused"]
            webhook = webhooks.pause_webhook(webhook=webhook, actor=actor.user, paused=paused)
        return Response(WebhookSerializer(webhook).data)

    @extend_schema(operation_id="remove_webhook", responses={204: None})
    def delete(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Remove it, with the log of its calls."""
        actor, webhook = _webhook(request, slug, webhook_id)
        webhooks.remove_webhook(webhook=webhook, actor=actor.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookPingView(View):
    @extend_schema(operation_id="ping_webhook", request=None, responses={201: CallSerializer})
    def post(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Send it a trial; the log of calls says what became of it."""
        _, webhook = _webhook(request, slug, webhook_id)
        return Response(CallSerializer(webhooks.ping(webhook=webhook)).data, status=status.HTTP_201_CREATED)


class WebhookCallsView(View):
    pagination_class = CallPages
    queries = {"GET": CallQuery}

    @extend_schema(operation_id="list_webhook_calls", responses=CallSerializer(many=True))
    def get(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """What it was told, the newest first."""
        _, webhook = _webhook(request, slug, webhook_id)
        return self.page(webhook.calls.filter(**self.asked), CallSerializer)


def _webhook(request: Request, slug: str, webhook_id: UUID) -> tuple[Actor, Webhook]:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    return actor, get_object_or_404(study.webhooks.select_related("study"), pk=webhook_id)
