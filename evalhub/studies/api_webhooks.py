"""Webhooks for programs."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import EVENTS, Webhook, WebhookCall
from evalhub.studies.services import webhooks


class WebhookSerializer(serializers.ModelSerializer):
    events = serializers.ListField(child=serializers.ChoiceField(choices=[event.value for event in EVENTS]))

    class Meta:
        model = Webhook
        fields = ("id", "address", "events", "created_at", "paused_at")
        read_only_fields = ("id", "created_at", "paused_at")


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(read_only=True)

    class Meta:
        model = Webhook
        fields = ("id", "address", "events", "created_at", "paused_at", "secret")
        read_only_fields = ("id", "created_at", "paused_at", "secret")


class PauseSerializer(serializers.Serializer):
    paused = serializers.BooleanField()


class CallSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookCall
        fields = (
            *("id", "event", "payload", "state", "attempts", "next_at", "status", "said", "seconds", "created_at"),
            "ended_at",
        )


class CallPages(LimitOffsetPagination):
    default_limit = 100
    max_limit = 1000


class WebhooksView(APIView):
    @extend_schema(operation_id="list_webhooks", responses=WebhookSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Whom the study tells of what happens; for owners. Secrets are not shown again."""
        study = get_study(Actor.of(request), slug, "manage")
        return Response(WebhookSerializer(study.webhooks.all(), many=True).data)

    @extend_schema(operation_id="add_webhook", request=WebhookSerializer, responses={201: NewWebhookSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Tell an address from now on. The answer holds the secret that signs, this once."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = WebhookSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        made = webhooks.create_webhook(
            study=study, actor=actor.user, address=values["address"], events=values["events"]
        )
        return Response(NewWebhookSerializer(made).data, status=status.HTTP_201_CREATED)


class WebhookView(APIView):
    @extend_schema(operation_id="pause_webhook", request=PauseSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Pause it, or resume it."""
        actor, webhook = _webhook(request, slug, webhook_id)
        asked = PauseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        paused = asked.validated_data["paused"]
        changed = webhooks.pause_webhook(webhook=webhook, actor=actor.user, paused=paused)
        return Response(WebhookSerializer(changed).data)

    @extend_schema(operation_id="remove_webhook", responses={204: None})
    def delete(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Remove it, with the log of its calls."""
        actor, webhook = _webhook(request, slug, webhook_id)
        webhooks.remove_webhook(webhook=webhook, actor=actor.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookPingView(APIView):
    @extend_schema(operation_id="ping_webhook", request=None, responses={201: CallSerializer})
    def post(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """Send it a trial; the log of calls says what became of it."""
        _, webhook = _webhook(request, slug, webhook_id)
        return Response(CallSerializer(webhooks.ping(webhook=webhook)).data, status=status.HTTP_201_CREATED)


class WebhookCallsView(ListAPIView):
    serializer_class = CallSerializer
    pagination_class = CallPages

    @extend_schema(operation_id="list_webhook_calls")
    def get(self, request: Request, slug: str, webhook_id: UUID) -> Response:
        """What it was told, the newest first."""
        _, webhook = _webhook(request, slug, webhook_id)
        page = self.paginate_queryset(webhook.calls.all())
        return self.get_paginated_response(CallSerializer(page, many=True).data)


def _webhook(request: Request, slug: str, webhook_id: UUID) -> tuple[Actor, Webhook]:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    return actor, get_object_or_404(study.webhooks.select_related("study"), pk=webhook_id)
