"""The desk in another site's frame, as Mechanical Turk shows it.

Browsers keep no cookies for a page in a foreign frame. There the address itself says who the rater is: every address
of her visit begins with `/framed/<token>/`, and so does each one that a page, a form, a redirection or a script is
given while such a request is answered, for Django puts that prefix before all of them. The token is signed, expires,
ends with the visit, and opens her desk in this one study: no other page of the site is found below the prefix.

Forms need no other token against forgery: that protects what a browser adds to a request by itself, and here nothing of
the kind is listened to. Cookies and other credentials are dropped before anybody reads them, so whoever could forge a
request would have to know the token, and then could just as well send it.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from csp.constants import SELF
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import get_script_prefix, set_script_prefix
from django.utils.translation import gettext as _

from raters.models import Platform, Visit, VisitOutcome

LIFETIME = timedelta(hours=12)
ADDRESS = re.compile(r"/framed/(?P<token>[\w:-]{1,200})(?P<rest>/.*)", re.DOTALL)
Answer = TypeVar("Answer", bound=HttpResponseBase)
_signer = TimestampSigner(salt="raters.framed-desk")


def framed_address(visit: Visit) -> str:
    """Where the visit's desk is for whoever has no cookies."""
    return f"{get_script_prefix()}framed/{_signer.sign(visit.key.hex)}/rate/{visit.recruitment.study.slug}/"


def visit_of(token: str) -> Visit | None:
    """The visit that the token opens; None when it is forged, too old, or the visit has ended."""
    try:
        key = UUID(_signer.unsign(token, max_age=LIFETIME))
    except (BadSignature, ValueError):
        return None
    visits = Visit.objects.select_related("recruitment", "enrolment__study", "enrolment__rater__user")
    found = visits.filter(key=key, recruitment__platform=Platform.MTURK, outcome=VisitOutcome.OPEN).first()
    return found if found is not None and found.enrolment.rater.user is not None else None


def allow_frame(response: Answer) -> Answer:
    """Let Mechanical Turk show this answer in its page, and let a form of it go there; nobody learns its address."""
    vars(response)["xframe_options_exempt"] = True
    vars(response).setdefault("_csp_replace", {}).update(
        {
            "frame-ancestors": settings.MTURK_FRAMES,
            "form-action": [SELF, *settings.MTURK_SUBMIT_TO, *settings.MTURK_FRAMES],
        }
    )
    # The origin and no more: without even that, a form would be sent as from nowhere, which a site may refuse.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


class FramedDesk:
    """Answers `/framed/<token>/rate/<study>/…` as `/rate/<study>/…` for that token's rater. Stands last of all, so that
    what the others have made of the cookies is undone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found = ADDRESS.fullmatch(request.path_info)
        if found is None:
            return self.get_response(request)
        _forget_credentials(request)
        vars(request)["framed"] = True  # pages then have no links that lead out of the desk
        visit = visit_of(found["token"])
        if visit is None:
            sentence = _("This page is too old, or your part is over; reload the HIT to go on where you were.")
            response: HttpResponseBase = render(request, "raters/refused.html", {"sentence": sentence}, status=403)
        elif not found["rest"].startswith((f"/rate/{visit.enrolment.study.slug}/", "/shown/")):
            raise Http404
        else:
            response = self._answer(request, visit, found["token"], found["rest"])
        response.cookies.clear()
        request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
        return allow_frame(response)

    def _answer(self, request: HttpRequest, visit: Visit, token: str, rest: str) -> HttpResponseBase:
        assert visit.enrolment.rater.user is not None  # `visit_of` gives no other
        request.user = visit.enrolment.rater.user
        request.path_info = rest
        vars(request).update(visit=visit, csrf_processing_done=True)
        before = get_script_prefix()
        set_script_prefix(f"{before}framed/{token}/")
        try:
            return self.get_response(request)
        finally:
            set_script_prefix(before)


def _forget_credentials(request: HttpRequest) -> None:
    request.COOKIES = {}
    request.session = SessionStore()
    for name in ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "CSRF_COOKIE"):
        request.META.pop(name, None)
