"""Whom a study tells of what happens in it; for its owners."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import EVENTS, Webhook, WebhookCall
from evalhub.studies.services import webhooks as services

CALLS_ON_A_PAGE = 50


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    """List them with what they were told, and add one. A new one's secret is in the answer to that request alone."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    context: dict[str, Any] = {"study": study, "role": role_in(actor, study), "active": "webhooks"}
    context |= {"events": EVENTS, "address": request.POST.get("address", ""), "chosen": request.POST.getlist("events")}
    status = 200
    if request.method == "POST":
        try:
            context["made"] = services.create_webhook(
                study=study, actor=actor.user, address=context["address"].strip(), events=context["chosen"]
            )
            context |= {"address": "", "chosen": []}
        except Refusal as refusal:
            context["refusal"], status = refusal.sentence, refusal.status
    calls = WebhookCall.objects.filter(webhook__study=study).select_related("webhook")
    context["webhooks"] = study.webhooks.all()
    context["page"] = Paginator(calls, CALLS_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "studies/webhooks.html", context, status=status)


@login_required
@require_POST
def webhook_change(request: HttpRequest, slug: str, webhook_id: UUID) -> HttpResponse:
    """Pause, resume, remove it, or send it a trial, as the button that was pressed says."""
    actor = Actor.of(request)
    webhook = _webhook(actor, slug, webhook_id)
    match request.POST.get("do"):
        case "ping":
            services.ping(webhook=webhook)
            messages.success(request, "A trial is on its way; the log below says what became of it.")
        case "pause":
            services.pause_webhook(webhook=webhook, actor=actor.user, paused=True)
        case "resume":
            services.pause_webhook(webhook=webhook, actor=actor.user, paused=False)
        case "remove":
            services.remove_webhook(webhook=webhook, actor=actor.user)
            messages.success(request, f"{webhook.address} is told nothing any more.")
    return redirect("webhooks", slug)


@login_required
@require_POST
def webhook_send_again(request: HttpRequest, slug: str, call_id: UUID) -> HttpResponse:
    study = get_study(Actor.of(request), slug, "manage")
    services.send_again(call=get_object_or_404(WebhookCall, webhook__study=study, pk=call_id))
    messages.success(request, "It is sent once more.")
    return redirect("webhooks", slug)


def _webhook(actor: Actor, slug: str, webhook_id: UUID) -> Webhook:
    study = get_study(actor, slug, "manage")
    return get_object_or_404(study.webhooks.select_related("study"), pk=webhook_id)
