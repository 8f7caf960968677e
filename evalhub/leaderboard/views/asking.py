"""Asking for the ranking of a slice: the only thing here that writes."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from evalhub.leaderboard.questions import WITHHELD, ask
from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study
from raters import services


@require_POST
@login_required
def ask_for_fit(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the slice in the form fitted, unless somebody already has; its page then shows how far that is."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    page = reverse("study", args=[slug])
    try:
        question = ask(actor, study, request.POST)
        if question.withheld:
            raise PermissionDenied(WITHHELD)
        services.ask_for_fit(study=study, criterion=question.criterion, slice=question.slice, actor=actor.user)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect(page)
    return redirect(f"{page}?{question.query}")
