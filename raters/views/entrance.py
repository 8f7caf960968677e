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
from raters.models import Enrolment

View = Callable[[HttpRequest, Enrolment], HttpResponse]


def for_raters(view: View) -> Callable[..., HttpResponse]:
    """Hand the view the signed-in rater's enrolment in the study of the address; no cache keeps what it answers."""

    @wraps(view)
    def guarded(request: HttpRequest, slug: str) -> HttpResponse:
        if not request.user.is_authenticated:
            # A script would follow the redirection and take the login page for its answer.
            return (
                HttpResponse(status=401) if by_script(request) else redirect_to_login(request.path, settings.LOGIN_URL)
            )
        actor = Actor.of(request)
        enrolment = services.enrol(study=get_study(actor, slug, "rate"), user=actor.user)
        response = view(request, enrolment)
        add_never_cache_headers(response)
        return response

    return guarded


def by_script(request: HttpRequest) -> bool:
    """Whether htmx asks, and so for a part of a page."""
    return bool(HtmxDetails(request))
