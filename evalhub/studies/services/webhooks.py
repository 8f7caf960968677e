"""Telling other programs what happens in a study, signed as https://www.standardwebhooks.com says."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies import outgoing
from evalhub.studies.models import EVENTS, CallState, Event, LogEntry, Study, User, Webhook, WebhookCall

# After each attempt that failed: how long until the next. With the last one it is given up, after about two days.
PAUSES = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400))
MOST_WEBHOOKS = 20
# For so long one attempt belongs to whoever began it.
UNDER_WAY = timedelta(seconds=6 * outgoing.SECONDS)
KEPT = timedelta(days=30)


def create_webhook(*, study: Study, actor: User, address: str, events: Sequence[str]) -> Webhook:
    """Tell this address of these events from now on. Refusal for an address the site does not reach out to."""
    chosen = [event.value for event in EVENTS if event.value in events]
    if not chosen or set(events) - set(chosen):
        known = ", ".join(event.value for event in EVENTS)
        raise Refusal(f"A webhook is told of one or more of {known}; got {', '.join(events)[:200] or 'none'}.")
    if len(address) > 500:
        raise Refusal(f"An address has at most 500 characters; this one has {len(address):,}.")
    try:
        outgoing.check(address, settings.WEBHOOKS_MAY_REACH)
    except outgoing.NotAllowed as reason:
        raise Refusal(str(reason)) from None
    if study.webhooks.count() >= MOST_WEBHOOKS:
        raise Conflict(f"A study has at most {MOST_WEBHOOKS} webhooks; remove one first.")
    try:
        with transaction.atomic():
            webhook = Webhook.objects.create(study=study, address=address, events=chosen, created_by=actor)
            LogEntry.write(study=study, actor=actor, verb="added webhook", subject=address, events=chosen)
    except IntegrityError:
        raise Conflict("This study tells that address already; remove the webhook first to change it.") from None
    return webhook


@transaction.atomic
def pause_webhook(*, webhook: Webhook, actor: User, paused: bool) -> Webhook:
    """Tell it nothing until it is resumed; what happens meanwhile it is never told."""
    if paused != bool(webhook.paused_at):
        webhook.paused_at = timezone.now() if paused else None
        webhook.save(update_fields=["paused_at"])
        verb = "paused webhook" if paused else "resumed webhook"
        LogEntry.write(study=webhook.study, actor=actor, verb=verb, subject=webhook.address)
    return webhook


@transaction.atomic
def remove_webhook(*, webhook: Webhook, actor: User) -> None:
    """Remove it and its log of calls."""
    LogEntry.write(study=webhook.study, actor=actor, verb="removed webhook", subject=webhook.address)
    webhook.delete()


def announce(*, study: Study, event: Event, data: dict[str, Any]) -> None:
    """Have every webhook of the study that asked for it told, once the current transaction has committed."""
    for webhook in study.webhooks.filter(paused_at=None, events__contains=[event.value]):
        _call(webhook, event, data)


def ping(*, webhook: Webhook) -> WebhookCall:
    """Send a trial."""
    return _call(webhook, Event.PING, {"address": webhook.address})


def send_again(*, call: WebhookCall) -> WebhookCall:
    """Try a call that was given up, or delivered, once more; the receiver knows it by its id."""
    again = WebhookCall.objects.filter(pk=call.pk).exclude(state=CallState.WAITING)
    if again.update(state=CallState.WAITING, ended_at=None, attempts=0, next_at=timezone.now()):
        enqueue("studies.call_webhook", str(call.pk))
    call.refresh_from_db()
    return call


def attempt(*, call_id: UUID | str) -> WebhookCall | None:
    """Try a call that is due; None when it is not, or somebody else is at it."""
    now = timezone.now()
    due = WebhookCall.objects.filter(pk=call_id, state=CallState.WAITING, next_at__lte=now)
    if not due.update(attempts=F("attempts") + 1, next_at=now + UNDER_WAY):
        return None
    call = WebhookCall.objects.select_related("webhook").get(pk=call_id)
    body = json.dumps(call.payload, cls=JSONEncoder).encode()
    answer = outgoing.post(call.webhook.address, body, signed(call, body), settings.WEBHOOKS_MAY_REACH)
    call.status, call.said, call.seconds = answer.status, answer.said[:500], answer.seconds
    now = timezone.now()
    if answer.is_good:
        call.state, call.ended_at = CallState.DONE, now
    elif call.attempts > len(PAUSES):
        call.state, call.ended_at = CallState.FAILED, now
    else:
        call.next_at = now + PAUSES[call.attempts - 1]
    call.save(update_fields=["status", "said", "seconds", "state", "ended_at", "next_at"])
    return call


def signed(call: WebhookCall, body: bytes) -> dict[str, str]:
    """The headers by which the receiver knows that the body is ours, and that it is no old one sent again."""
    moment = str(int(timezone.now().timestamp()))
    key = base64.b64decode(call.webhook.secret.removeprefix("whsec_"))
    signature = hmac.new(key, b".".join([str(call.pk).encode(), moment.encode(), body]), hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "EvalHub-webhooks/1",
        "webhook-id": str(call.pk),
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def calls_due() -> list[UUID]:
    """Calls whose time has come, or whose worker died on the way."""
    due = WebhookCall.objects.filter(state=CallState.WAITING, next_at__lte=timezone.now())
    return list(due.order_by("next_at").values_list("pk", flat=True)[:1_000])


def forget_old_calls() -> int:
    """Remove ended calls from the log after some weeks."""
    ended = WebhookCall.objects.filter(ended_at__lt=timezone.now() - KEPT)
    return ended.delete()[0]


def _call(webhook: Webhook, event: Event, data: dict[str, Any]) -> WebhookCall:
    call = WebhookCall(webhook=webhook, event=event)
    call.payload = json.loads(
        json.dumps(
            {
                "id": str(call.pk),
                "type": event.value,
                "timestamp": call.created_at,
                "study": webhook.study.slug,
                "data": data,
            },
            cls=JSONEncoder,
        )
    )
    call.save(force_insert=True)
    enqueue("studies.call_webhook", str(call.pk))
    return call
