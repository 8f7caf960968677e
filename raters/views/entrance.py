"""How a request reaches the desk: whose enrolment it is, or why there is none."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django_htmx.middleware import HtmxDetails

from evalhub.studies.access import Actor, get_study
from raters import services
from raters.models import Enrolment, Platform
from raters.platforms import prolific
from raters.views.farewell import farewell

View = Callable[[HttpRequest, Enrolment], HttpResponse]
Instead = Callable[[HttpRequest, Enrolment], HttpResponse | None]


def for_raters(view: View) -> Callable[..., HttpResponse]:
    """Hand the view the signed-in rater's enrolment in the study of the address; no cache keeps what it answers.

    Whoever came by a link or from a platform and has finished gets the last page of her visit instead.
    """
    return _guarded(view, _unless_finished)


def for_finished_raters_too(view: View) -> Callable[..., HttpResponse]:
    """As `for_raters`, whether her visit has ended or not."""
    return _guarded(view, lambda request, enrolment: None)


def _guarded(view: View, instead: Instead) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, slug: str) -> HttpResponse:
        if not request.user.is_authenticated:
            # A script would follow the redirection and take the login page for its answer.
            return (
                HttpResponse(status=401) if by_script(request) else redirect_to_login(request.path, settings.LOGIN_URL)
            )
        actor = Actor.of(request)
        enrolment = services.enrolled(slug=slug, user=actor.user) or services.enrol(
            study=get_study(actor, slug, "rate"), user=actor.user
        )
        _find_visit(request, enrolment)
        response = instead(request, enrolment) or view(request, enrolment)
        add_never_cache_headers(response)
        return _may_leave(response, enrolment)

    return guarded


def by_script(request: HttpRequest) -> bool:
    """Whether htmx asks, and so for a part of a page."""
    return bool(HtmxDetails(request))


def _find_visit(request: HttpRequest, enrolment: Enrolment) -> None:
    """Pages know the visit as `request.visit`. In a frame it is the token's, whichever she opened last."""
    framed = getattr(request, "visit", None)
    if framed is not None and enrolment.visit_id != framed.pk:
        enrolment.visit = framed
        enrolment.save(update_fields=["visit"])
    vars(request)["visit"] = enrolment.visit


def _unless_finished(request: HttpRequest, enrolment: Enrolment) -> HttpResponse | None:
    visit = enrolment.visit
    if visit is None or visit.ended_at is None:
        return None
    response = farewell(request, visit)
    if request.method != "GET":
        response.status_code = 409
    if by_script(request):
        response["HX-Refresh"] = "true"
    return response


def _may_leave(response: HttpResponse, enrolment: Enrolment) -> HttpResponse:
    """The form by which she leaves may lead on to the platform; browsers ask that of the page where the form is."""
    if enrolment.visit is not None and enrolment.visit.recruitment.platform == Platform.PROLIFIC:
        vars(response).setdefault("_csp_update", {})["form-action"] = [prolific.SITE]
    return response
