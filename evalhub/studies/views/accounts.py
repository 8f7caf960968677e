"""Signing in and out, the first administrator, passwords, and the look of the pages."""

import hashlib
import logging
from typing import Any

from allauth.socialaccount.providers.openid_connect.views import login as openid_connect_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth import views as auth_views
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from requests import RequestException
from rest_framework.throttling import SimpleRateThrottle

from evalhub.problems import Conflict
from evalhub.studies import services
from evalhub.studies.forms import AccountForm, SignInForm
from evalhub.studies.models import User

log = logging.getLogger(__name__)

THEMES = ("light", "dark")
A_YEAR = 365 * 24 * 3600


class AttemptThrottle(SimpleRateThrottle):
    """Counts tries per address, and per account name when `name` is given, against the rate `login` of the API."""

    scope = "login"

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name

    def get_cache_key(self, request: Any, view: Any) -> str:
        who = hashlib.sha256(self.name.casefold().encode()).hexdigest() if self.name else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": who}

    def admits(self, request: Any) -> bool:
        """A throttle of the API asks no more of a request than Django's own requests have."""
        view: Any = None
        return self.allow_request(request, view)


def too_often(request: HttpRequest, name: str = "") -> str:
    """Count one try; a sentence when there have been too many, else nothing."""
    throttles = [AttemptThrottle(), *([AttemptThrottle(name)] if name else [])]
    # Each one counts, so all are asked before any answer is looked at.
    refused = [throttle for throttle in throttles if not throttle.admits(request)]
    if not refused:
        return ""
    seconds = max(1, round(max(throttle.wait() or 1 for throttle in refused)))
    return _("There were too many attempts from here or on this account; wait %(seconds)s seconds and try again.") % {
        "seconds": seconds
    }


class SignIn(auth_views.LoginView):
    form_class = SignInForm
    redirect_authenticated_user = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not User.objects.exists():
            return redirect("setup")
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if sentence := too_often(request, request.POST.get("username", "")):
            return self.render_to_response(self.get_context_data(form=SignInForm(), refusal=sentence), status=429)
        return super().post(request, *args, **kwargs)

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(sso=settings.OIDC_NAME if settings.OIDC_SERVER_URL else "", **kwargs)


@require_http_methods(["GET"])
def single_sign_on(request: HttpRequest, provider_id: str) -> HttpResponse:
    """On to the organisation's sign-in; a page when that does not answer."""
    try:
        return openid_connect_login(request, provider_id)
    except RequestException as error:
        log.warning("The sign-in of %s does not answer: %s", settings.OIDC_NAME, error)
        return render(request, "socialaccount/authentication_error.html", status=502)


@require_http_methods(["GET", "HEAD"])
def administration_sign_in(request: HttpRequest) -> HttpResponse:
    """The administration has no sign-in of its own, which would be one without a limit on attempts."""
    if request.user.is_authenticated:
        raise PermissionDenied("The administration is for the site's administrators; ask one of them.")
    return redirect_to_login(request.GET.get("next", reverse("admin:index")))


class PasswordReset(auth_views.PasswordResetView):
    success_url = reverse_lazy("password_reset_done")
    # The link names the site by its own setting, never by the Host header that came with the request.
    extra_email_context = {"site_url": settings.SITE_URL}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if sentence := too_often(request):
            return self.render_to_response(self.get_context_data(form=self.get_form(), refusal=sentence), status=429)
        return super().post(request, *args, **kwargs)


class PasswordResetDone(auth_views.PasswordResetDoneView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(mail_is_written_to_files="filebased" in settings.EMAIL_BACKEND, **kwargs)


class PasswordChange(auth_views.PasswordChangeView):
    success_url = reverse_lazy("studies")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed; other browsers were signed out.")
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """The first visit to a new site makes its administrator; afterwards this page only leads to the sign-in."""
    if User.objects.exists():
        return redirect("login")
    form = AccountForm(request.POST) if request.method == "POST" else AccountForm()
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            user = services.create_first_administrator(
                username=given["username"], password=given["password1"], email=given["email"]
            )
        except Conflict as conflict:
            messages.warning(request, conflict.sentence)
            return redirect("login")
        login(request, user)
        messages.success(request, "This site is yours. Create its first study.")
        return redirect("studies")
    return render(request, "studies/setup.html", {"form": form}, status=422 if form.is_bound else 200)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen look in a cookie, which the page's own HTML obeys: no script, no flash of the other one."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    # A path, for `redirect` would take a bare word for the name of a view.
    response = HttpResponseRedirect(back if safe and back.startswith("/") else reverse("studies"))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        response.set_cookie(
            "theme", chosen, max_age=A_YEAR, samesite="Lax", httponly=True, secure=settings.SESSION_COOKIE_SECURE
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
