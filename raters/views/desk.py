"""The rater's desk. Nothing here may say which checkpoint made a side: not an address, a header, a name or an error."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotFound, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Conflict, Refusal
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Modality, User
from raters import access, services
from raters.models import Enrolment
from raters.services.closing import answers_counted, orders
from raters.serving import serve
from raters.views import states
from raters.views.entrance import by_script, for_raters


@require_GET
@for_raters
def rate(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """Wherever the rater stands in the study: consent, instructions, the pair before her, or that she is done."""
    return _desk(request, enrolment)


@require_POST
@for_raters
def consent(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    try:
        if not request.POST.get("agreed"):
            raise Refusal("To take part, tick that you have read the text; otherwise simply leave.")
        services.consent(enrolment=enrolment, version=_number(request.POST.get("version")) or 0)
    except Refusal as refusal:
        return _desk(request, enrolment, refusal)
    return redirect("rate", enrolment.study.slug)


@require_POST
@for_raters
def begin(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    try:
        services.start(enrolment=enrolment)
    except Refusal as refusal:
        return _desk(request, enrolment, refusal)
    return redirect("rate", enrolment.study.slug)


@require_POST
@for_raters
def vote(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    answers = {
        name.removeprefix("answer."): str(value) for name, value in request.POST.items() if name.startswith("answer.")
    }
    try:
        services.cast_vote(
            token=request.POST.get("comparison", ""),
            rater=enrolment.rater,
            answers=answers,
            revision=_number(request.POST.get("revision")) or 1,
            milliseconds=_number(request.POST.get("milliseconds")),
            without_javascript=not by_script(request),
        )
    except Refusal as refusal:
        return _desk(request, enrolment, refusal)
    return _onwards(request, enrolment)


@require_POST
@for_raters
def undo(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    try:
        services.undo_last(rater=enrolment.rater, study=enrolment.study, last=request.POST.get("comparison"))
    except Refusal as refusal:
        return _desk(request, enrolment, refusal)
    return _onwards(request, enrolment)


@require_POST
@for_raters
def ahead(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """The browser has revealed a pair: note it, and say where the pictures of the next one are."""
    comparison = access.own_comparison(enrolment.rater, request.POST.get("comparison", ""))
    services.mark_shown(comparison=comparison)
    try:
        following = services.next_comparison(study=enrolment.study, rater=enrolment.rater, after=comparison)
    except Refusal:
        following = None  # the study has just been paused; the answer to this pair will say so
    addresses = states.addresses(following) if following else []
    moving = enrolment.study.modality == Modality.VIDEO
    return JsonResponse({"pictures": [] if moving else addresses, "videos": addresses if moving else []})


@require_GET
def shown(request: HttpRequest, token: str) -> HttpResponseBase:
    """One side's picture, for the rater it was drawn for. Whoever else asks, and why ever, the answer is the same."""
    try:
        copy = access.shown_copy(request.user, token) if isinstance(request.user, User) else None
    except Http404:
        copy = None
    if copy is None:
        return HttpResponseNotFound("There is nothing here.\n", content_type="text/plain")
    return serve(request, copy)


@login_required
@require_GET
def progress(request: HttpRequest, slug: str) -> HttpResponse:
    """How many answers a study has, of how many it asks for, and how far its order is settled; owners only.

    htmx puts it into the settings page; a browser without scripts gets it as a page.
    """
    study = get_study(Actor.of(request), slug, "manage")
    context = {"study": study, "answers": answers_counted(study), "orders": orders(study)}
    return render(request, "raters/progress.html" if by_script(request) else "raters/progress_page.html", context)


def _onwards(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    if by_script(request):
        return _desk(request, enrolment)
    return redirect("rate", enrolment.study.slug)


def _desk(request: HttpRequest, enrolment: Enrolment, refusal: Refusal | None = None) -> HttpResponse:
    """The page of the rater's state or, for htmx, the part of it that changes from pair to pair."""
    status = refusal.status if refusal else 200
    context: dict[str, Any] = {"study": enrolment.study, "refusal": refusal.sentence if refusal else ""}
    try:
        page = states.page_of(enrolment, context)
    except Conflict:  # an owner has changed the study since this request began
        enrolment.refresh_from_db()
        context["study"] = enrolment.study
        page = states.page_of(enrolment, context)
    if page == states.COMPARE:
        return render(request, "raters/desk.html" if by_script(request) else page, context, status=status)
    response = render(request, page, context, status=status)
    if by_script(request):
        response["HX-Refresh"] = "true"
    return response


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
