"""A person's own keys for the API."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor
from evalhub.studies.forms import TokenForm
from evalhub.studies.models import ApiToken, User


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List, and create one. A new token's secret is in the answer to that one request and nowhere else."""
    user = Actor.of(request).user
    form = TokenForm(request.POST if request.method == "POST" else None, user=user)
    context: dict[str, object] = {"form": form, "now": timezone.now()}
    status = 200
    if request.method == "POST":
        try:
            context["made"], context["secret"] = _create(form, user)
            context["form"] = TokenForm(user=user)
        except Refusal as refusal:
            context["refusal"], status = refusal.sentence, refusal.status
    context["tokens"] = ApiToken.objects.filter(user=user).select_related("study").order_by("-created")
    return render(request, "studies/tokens.html", context, status=status)


def _create(form: TokenForm, user: User) -> tuple[ApiToken, str]:
    if not form.is_valid():
        raise Refusal("No token was made; see what is said beside the fields.")
    name = form.cleaned_data["name"]
    # A list with the same name twice does not tell which one to revoke; and a form sent twice makes one token.
    if ApiToken.objects.filter(user=user, name=name, expiry__gt=timezone.now()).exists():
        raise Conflict(f"You already have a token called “{name}”. Revoke that one first, or choose another name.")
    return services.create_token(
        user=user,
        name=name,
        scope=form.cleaned_data["scope"],
        study=form.cleaned_data["study"],
        expiry=form.expiry,
    )


@login_required
@require_POST
def revoke_token(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("token", "").replace("\0", "")  # which no text in a database holds
    token = get_object_or_404(ApiToken, user=Actor.of(request).user, pk=wanted)
    services.revoke_token(token=token)
    messages.success(request, f"“{token.name}” is revoked; whatever used it is signed out.")
    return redirect("tokens")
