"""The rater's desk. Nothing here may say which checkpoint made a side: not an address, a header, a name or an error."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Conflict, NotNeeded, Refusal
from evalhub.studies.access import Actor, get_study
from raters import services
from raters.models import Enrolment
from raters.services.closing import answers_counted, orders
from raters.views import filled, states
from raters.views.entrance import by_script, for_raters

QUEUED = "X-Queued"  # a header of what the queue in the browser sends
MOST_HELD = 200  # tokens that one request may name


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
            raise Refusal(_("To take part, tick that you have read the text; otherwise simply leave."))
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
    return _sent(
        request,
        enrolment,
        lambda: services.cast_vote(
            token=request.POST.get("comparison", ""),
            rater=enrolment.rater,
            answers=answers,
            revision=_number(request.POST.get("revision")) or 1,
            milliseconds=_number(request.POST.get("milliseconds")),
            away_milliseconds=_number(request.POST.get("away")) or 0,
            waited_milliseconds=_number(request.POST.get("waited")) or 0,
            without_javascript=not by_script(request),
            reasons=request.POST.getlist("reasons"),
            region=services.region_from(request.POST.get("region", "")),
            comment=request.POST.get("comment", ""),
            shown=_shown(request),
        ),
        notes_shown=True,
    )


@require_POST
@for_raters
def skip(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """`reason` is one of SkipReason; a side that is broken follows it after a colon."""
    reason, _colon, side = request.POST.get("reason", "").partition(":")
    return _sent(
        request,
        enrolment,
        lambda: services.skip(
            token=request.POST.get("comparison", ""),
            rater=enrolment.rater,
            reason=reason,
            side=side,
            comment=request.POST.get("comment", ""),
        ),
    )


@require_POST
@for_raters
def see(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """She agrees to see what the study says is sensitive."""
    services.agree_to_see(enrolment=enrolment)
    return HttpResponse(status=204) if by_script(request) else redirect("rate", enrolment.study.slug)


@require_POST
@for_raters
def undo(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    return _sent(
        request,
        enrolment,
        lambda: services.undo_last(
            rater=enrolment.rater,
            study=enrolment.study,
            last=request.POST.get("comparison"),
            revision=_number(request.POST.get("revision")),
        ),
    )


@require_POST
@for_raters
def ahead(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """The browser has room for more pairs: lease them and send their desks, one after another."""
    _note_shown(request, enrolment)
    held = set(request.POST.getlist("held")[:MOST_HELD])
    count = _number(request.POST.get("count")) or services.AHEAD
    try:
        following = services.comparisons_ahead(study=enrolment.study, rater=enrolment.rater, held=held, count=count)
    except Refusal:
        following = []  # the study has just been paused; the answer to this pair will say so
    pairs = states.pairs(enrolment, [comparison for comparison, _done in following])
    return HttpResponse(filled.desks(request, enrolment, pairs, [done for _comparison, done in following]))


@login_required
@require_GET
def progress(request: HttpRequest, slug: str) -> HttpResponse:
    """How many answers a study has, of how many it asks for, and how far its order is settled; owners only.

    htmx puts it into the settings page; a browser without scripts gets it as a page.
    """
    study = get_study(Actor.of(request), slug, "manage")
    context = {"study": study, "answers": answers_counted(study), "orders": orders(study)}
    return render(request, "raters/progress.html" if by_script(request) else "raters/progress_page.html", context)


def _sent(
    request: HttpRequest, enrolment: Enrolment, take: Callable[[], object], *, notes_shown: bool = False
) -> HttpResponse:
    """Take what the rater sends. The queue in her browser, which has gone on long ago, is only told how that went.

    Args: notes_shown: whether taking it has noted what she was shown.
    """
    queued = QUEUED in request.headers
    try:
        take()
    except Refusal as refusal:
        if queued:
            return HttpResponse(refusal.sentence, status=refusal.status, content_type="text/plain")
        return _desk(request, enrolment, refusal)
    except Http404:
        if queued:  # and she may still compare here: it is this comparison that is not hers any more
            return HttpResponse(status=NotNeeded.status)
        raise
    if queued:
        if not notes_shown:
            _note_shown(request, enrolment)
        return HttpResponse(status=204)
    return _desk(request, enrolment) if by_script(request) else redirect("rate", enrolment.study.slug)


def _shown(request: HttpRequest) -> dict[str, timedelta]:
    """`shown`, as often as needed: a comparison's token, a colon, and how many milliseconds ago it was revealed."""
    shown: dict[str, timedelta] = {}
    for one in request.POST.getlist("shown")[:MOST_HELD]:
        token, _colon, ago = one.partition(":")
        shown.setdefault(token, timedelta(milliseconds=_number(ago) or 0))
    return shown


def _note_shown(request: HttpRequest, enrolment: Enrolment) -> None:
    for token, ago in _shown(request).items():
        services.mark_shown(rater=enrolment.rater, token=token, ago=ago)


def _desk(request: HttpRequest, enrolment: Enrolment, refusal: Refusal | None = None) -> HttpResponse:
    """The page of the rater's state or, for htmx, the part of it that changes from pair to pair."""
    status = refusal.status if refusal else 200
    context: dict[str, Any] = {"study": enrolment.study, "refusal": refusal.sentence if refusal else ""}
    context["desk"] = states.desk_name(enrolment)
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
