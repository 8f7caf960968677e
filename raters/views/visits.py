"""Coming by a link or from a platform, and leaving again."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, role_in
from evalhub.studies.models import Role, User
from evalhub.studies.views.accounts import AttemptThrottle, too_often
from evalhub.studies.words import as_html
from raters.framing import allow_frame, framed_address
from raters.models import Enrolment, Platform, Recruitment, Visit, VisitOutcome
from raters.platforms import mturk, prolific
from raters.platforms.arrivals import Arrival
from raters.services.visiting import arrive, code_earned, find_visit, join, leave, resume
from raters.views.entrance import for_finished_raters_too
from raters.views.farewell import farewell

REMEMBERED = timedelta(days=90)  # how long a browser is known as hers


class TooManyVisits(Refusal):
    status = 429


class VisitThrottle(AttemptThrottle):
    """Counts new raters per address."""

    scope = "visit"


@never_cache
@require_http_methods(["GET", "POST"])
def take_part(request: HttpRequest, token: str) -> HttpResponse:
    """Where an open link leads, or a platform sends people."""
    recruitment = Recruitment.objects.select_related("study").filter(token=token).first()
    if recruitment is None:
        sentence = _("This link leads nowhere; check it, or ask whoever gave it to you for a new one.")
        return render(request, "raters/refused.html", {"sentence": sentence}, status=404)
    if recruitment.platform == Platform.LINK:
        return _answer(request, recruitment, _by_link)
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    if recruitment.platform == Platform.PROLIFIC:
        return _answer(request, recruitment, _by_prolific)
    vars(request)["framed"] = True
    return allow_frame(_answer(request, recruitment, _by_mturk))


def _answer(request: HttpRequest, recruitment: Recruitment, way: Any) -> HttpResponse:
    try:
        answer: HttpResponse = way(request, recruitment)
    except Refusal as refusal:
        context = {"sentence": refusal.sentence, "study": recruitment.study}
        return render(request, "raters/refused.html", context, status=refusal.status)
    return answer


# -- an open link -------------------------------------------------------------------------------------------------


def _by_link(request: HttpRequest, recruitment: Recruitment) -> HttpResponse:
    study = recruitment.study
    user = request.user if isinstance(request.user, User) else None
    role = role_in(Actor(user), study) if user else ""
    if user and role == Role.RATER and "code" not in request.POST:
        _remember(request, user)
        return redirect("rate", study.slug)
    if role not in {"", Role.RATER}:
        raise Refusal(
            _(
                "You are signed in as %(name)s, who sees this study's results and so may not compare; open the link in "
                "a private window to see what raters see."
            )
            % {"name": user}
        )
    context = {"recruitment": recruitment, "study": study, "text": as_html(study.consent)}
    status = 200
    if request.method == "POST":
        try:
            visit = _resumed(request, recruitment) if "code" in request.POST else _joined(request, recruitment, user)
            return _seated(request, visit)
        except Refusal as refusal:
            context |= {"refusal": refusal.sentence, "code": request.POST.get("code", "")}
            status = refusal.status
    elif not study.takes_votes or recruitment.closed_at:
        context["refusal"] = _("This link takes nobody new at the moment; with a code you can still go on.")
    return render(request, "raters/open_link.html", context, status=status)


def _joined(request: HttpRequest, recruitment: Recruitment, user: User | None) -> Visit:
    _count(request)
    version = request.POST.get("version", "") if request.POST.get("agreed") else ""
    return join(recruitment=recruitment, version=int(version) if version.isdecimal() else None, user=user)


def _resumed(request: HttpRequest, recruitment: Recruitment) -> Visit:
    if sentence := too_often(request):
        raise TooManyVisits(sentence)
    return resume(recruitment=recruitment, code=request.POST.get("code", ""))


# -- platforms ----------------------------------------------------------------------------------------------------


def _by_prolific(request: HttpRequest, recruitment: Recruitment) -> HttpResponse:
    arrival = prolific.arrival(request.GET)
    if isinstance(request.user, User) and request.user.has_usable_password():
        raise Refusal(
            _("You are signed in as %(name)s; open the link in a private window to come as %(platform)s sends people.")
            % {"name": request.user, "platform": prolific.NAME}
        )
    return _seated(request, _arrived(request, recruitment, arrival))


def _by_mturk(request: HttpRequest, recruitment: Recruitment) -> HttpResponse:
    study = recruitment.study
    if mturk.is_preview(request.GET):
        context = {"study": study, "recruitment": recruitment, "text": as_html(study.consent)}
        return render(request, "raters/mturk_preview.html", context)
    visit = _arrived(request, recruitment, mturk.arrival(request.GET))
    if visit.outcome != VisitOutcome.OPEN:
        return farewell(request, visit)
    return redirect(framed_address(visit))


def _arrived(request: HttpRequest, recruitment: Recruitment, arrival: Arrival) -> Visit:
    if find_visit(recruitment=recruitment, arrival=arrival) is None:
        _count(request)
    return arrive(recruitment=recruitment, arrival=arrival)


def _count(request: HttpRequest) -> None:
    throttle = VisitThrottle()
    if not throttle.admits(request):
        seconds = max(1, round(throttle.wait() or 1))
        raise TooManyVisits(
            _("Too many people came from your network at once; wait %(seconds)d seconds and open the link again.")
            % {"seconds": seconds}
        )


def _seated(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Let this browser be known as hers, and take her to the desk."""
    user = visit.enrolment.rater.user
    if user is None:
        raise Refusal(_("Your answers were erased as you asked, so there is nothing to go on with."))
    if request.user != user:
        login(request, user)
    _remember(request, user)
    return redirect("rate", visit.recruitment.study.slug)


def _remember(request: HttpRequest, user: User) -> None:
    """Without a password her browser is all that knows her."""
    if not user.has_usable_password():
        request.session.set_expiry(REMEMBERED)


# -- leaving ------------------------------------------------------------------------------------------------------


@require_POST
@for_finished_raters_too
def leave_study(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """End her visit: decide how it went, and give what that has earned her."""
    if enrolment.visit is None:
        return redirect("rate", enrolment.study.slug)
    try:
        visit = leave(visit=enrolment.visit)
    except Refusal as refusal:
        context = {"sentence": refusal.sentence, "study": enrolment.study, "back": True}
        return render(request, "raters/refused.html", context, status=refusal.status)
    code = code_earned(visit)
    if visit.recruitment.platform == Platform.PROLIFIC and code:
        return redirect(prolific.way_back(code))
    return farewell(request, visit, at_once=True)
