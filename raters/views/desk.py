"""The rater's desk. Nothing here may say which checkpoint made a side: not an address, a header, a name or an error."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotFound, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_GET, require_POST
from django_htmx.middleware import HtmxDetails

from evalhub.problems import Conflict, Refusal
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Modality, User
from raters import access, services
from raters.models import Comparison, Enrolment, EnrolmentState
from raters.services.closing import answers_counted, orders
from raters.services.enrolling import COMPARING
from raters.services.limits import allowance
from raters.serving import serve
from raters.words import as_html

View = Callable[[HttpRequest, Enrolment], HttpResponse]


def for_raters(view: View) -> Callable[..., HttpResponse]:
    """Hand the view the signed-in rater's enrolment in the study of the address; no cache keeps what it answers."""

    @wraps(view)
    def guarded(request: HttpRequest, slug: str) -> HttpResponse:
        if not request.user.is_authenticated:
            # A script would follow the redirection and take the login page for its answer.
            return (
                HttpResponse(status=401) if _by_script(request) else redirect_to_login(request.path, settings.LOGIN_URL)
            )
        actor = Actor.of(request)
        enrolment = services.enrol(study=get_study(actor, slug, "rate"), user=actor.user)
        response = view(request, enrolment)
        add_never_cache_headers(response)
        return response

    return guarded


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
            without_javascript=not _by_script(request),
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
    addresses = _addresses(following) if following else []
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
    return render(request, "raters/progress.html" if _by_script(request) else "raters/progress_page.html", context)


def _by_script(request: HttpRequest) -> bool:
    return bool(HtmxDetails(request))


def _onwards(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    if _by_script(request):
        return _desk(request, enrolment)
    return redirect("rate", enrolment.study.slug)


def _desk(request: HttpRequest, enrolment: Enrolment, refusal: Refusal | None = None) -> HttpResponse:
    """The page of the rater's state or, for htmx, the part of it that changes from pair to pair."""
    status = refusal.status if refusal else 200
    context: dict[str, Any] = {"study": enrolment.study, "refusal": refusal.sentence if refusal else ""}
    try:
        page = _page(enrolment, context)
    except Conflict:  # an owner has changed the study since this request began
        enrolment.refresh_from_db()
        context["study"] = enrolment.study
        page = _page(enrolment, context)
    if page == "raters/compare.html":
        return render(request, "raters/desk.html" if _by_script(request) else page, context, status=status)
    response = render(request, page, context, status=status)
    if _by_script(request):
        response["HX-Refresh"] = "true"
    return response


def _page(enrolment: Enrolment, context: dict[str, Any]) -> str:
    """Which template shows the rater's state; adds to the context what that one needs."""
    study = enrolment.study
    if not study.takes_votes:
        return "raters/not_open.html"
    if enrolment.state == EnrolmentState.SCREENED_OUT:
        return "raters/done.html"
    if services.needs_consent(enrolment):
        context["text"] = as_html(study.consent)
        return "raters/consent.html"
    if enrolment.state not in COMPARING:
        questions = _questions(enrolment)
        taken = {choice.value for question in questions for choice in question["choices"]}
        context |= {"text": as_html(study.instructions), "criteria": questions, "answers": taken}
        return "raters/instructions.html"
    comparison = services.next_comparison(study=study, rater=enrolment.rater)
    last = services.last_answered(enrolment.rater, study)
    context |= {"done": services.answered_by(enrolment.rater, study), "last": last.token if last else ""}
    if comparison is None:
        context["left"] = allowance(enrolment)
        return "raters/done.html"
    left, right = _addresses(comparison)
    context |= {
        "comparison": comparison,
        "left": left,
        "right": right,
        "canvas": comparison.left_copy,
        "revision": services.next_revision(comparison),
        "criteria": _questions(enrolment),
        "desk": _desk_name(enrolment),
    }
    return "raters/compare.html"


def _questions(enrolment: Enrolment) -> list[dict[str, Any]]:
    return [
        {"criterion": criterion, "choices": services.choices_of(criterion)}
        for criterion in enrolment.study.criteria.all()
    ]


def _addresses(comparison: Comparison) -> list[str]:
    return [reverse("shown", args=[token]) for token in (comparison.left_token, comparison.right_token)]


def _desk_name(enrolment: Enrolment) -> str:
    """Under which the browser keeps unsent answers: this rater's in this study, should two share a computer."""
    return salted_hmac("raters.desk", str(enrolment.pk)).hexdigest()[:16]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
