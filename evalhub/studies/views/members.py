"""Who is in a study: members, the links that invite more, and what happens when such a link is opened."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Case, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import AccountForm, InviteForm, MemberForm, RoleForm
from evalhub.studies.models import Invite, Membership, Role, Study, User
from evalhub.studies.views.accounts import too_often

MEMBERS_ON_A_PAGE = 100


@login_required
@require_http_methods(["GET", "POST"])
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """The people of a study; a POST adds one."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _page(request, actor, study)
    form = MemberForm(request.POST)
    try:
        user = _find_user(form)
        services.add_member(study=study, user=user, role=form.cleaned_data["role"], actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal=refusal, member_form=form)
    messages.success(request, f"{user} is now a member.")
    return redirect("members", study.slug)


def _find_user(form: MemberForm) -> User:
    if not form.is_valid():
        raise Refusal("Nobody was added; see what is said beside the fields.")
    who = form.cleaned_data["who"]
    found = list(User.objects.filter(Q(username__iexact=who) | Q(email__iexact=who), is_active=True)[:2])
    if len(found) != 1:
        trouble = "Nobody here has" if not found else "More than one person here has"
        raise Refusal(f"{trouble} the name or email “{who}”. Check it, or send an invite link instead.")
    return found[0]


@login_required
@require_POST
def member_role(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    user = get_object_or_404(User, memberships__study=study, pk=user_id)
    form = RoleForm(request.POST)
    try:
        if not form.is_valid():
            raise Refusal("Choose one of the roles in the list.")
        services.change_role(study=study, user=user, role=form.cleaned_data["role"], actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal=refusal)
    messages.success(request, f"{user} is now {form.cleaned_data['role']}.")
    return redirect("studies" if user == actor.user else "members", *([] if user == actor.user else [study.slug]))


@login_required
@require_POST
def member_remove(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    user = User.objects.filter(pk=user_id, memberships__study=study).first()
    if user is None:  # she was removed a moment ago: what was asked for is so
        return redirect("members", study.slug)
    try:
        services.remove_member(study=study, user=user, actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal=refusal)
    messages.success(request, f"{user} is no longer a member. What she submitted or voted stays.")
    return redirect("studies") if user == actor.user else redirect("members", study.slug)


@login_required
@never_cache
@require_POST
def invite_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a link. Its token is in the answer to this one request and nowhere else."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    form = InviteForm(request.POST)
    try:
        if not form.is_valid():
            raise Refusal("No link was made; see what is said beside the fields.")
        days = form.cleaned_data["days"]
        invite, token = services.create_invite(
            study=study,
            role=form.cleaned_data["role"],
            actor=actor.user,
            max_uses=form.cleaned_data["max_uses"],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
    except Refusal as refusal:
        return _page(request, actor, study, refusal=refusal, invite_form=form)
    return _page(request, actor, study, made=invite, link=request.build_absolute_uri(reverse("join", args=[token])))


@login_required
@require_POST
def invite_revoke(request: HttpRequest, slug: str, invite_id: int) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    invite = get_object_or_404(Invite, study=study, pk=invite_id)
    services.revoke_invite(invite=invite, actor=actor.user, at=timezone.now())
    messages.success(request, "The link no longer works. Whoever came by it stays a member.")
    return redirect("members", study.slug)


def _page(
    request: HttpRequest, actor: Actor, study: Study, *, refusal: Refusal | None = None, **context: Any
) -> HttpResponse:
    context = {
        "member_form": MemberForm(auto_id="member_%s"),
        "invite_form": InviteForm(auto_id="invite_%s"),
        "study": study,
        "role": role_in(actor, study),
        "active": "members",
        "page": Paginator(_members(study), MEMBERS_ON_A_PAGE).get_page(request.GET.get("page")),
        "invites": study.invites.filter(revoked_at=None).select_related("created_by").order_by("-created_at"),
        "usable": set(study.invites.all().usable().values_list("pk", flat=True)),
        "roles": Role.choices,
        "refusal": refusal.sentence if refusal else "",
    } | context
    return render(request, "studies/members.html", context, status=refusal.status if refusal else 200)


def _members(study: Study) -> QuerySet[Membership]:
    """The team first, then raters, of whom there may be thousands."""
    is_rater = Case(When(role=Role.RATER, then=1), default=0)
    return study.memberships.select_related("user").order_by(is_rater, "created_at", "pk")


@never_cache
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Open an invite link: say what it is, then make whoever agrees a member, with a new account if she has none."""
    try:
        invite = services.find_invite(token=token)
    except Refusal as refusal:
        return render(request, "studies/join_refused.html", {"sentence": refusal.sentence}, status=refusal.status)
    form = AccountForm(request.POST if "username" in request.POST else None)
    context = {"invite": invite, "study": invite.study, "form": form, "named": form.is_bound}
    if request.method == "GET":
        return render(request, "studies/join.html", context | {"membership": _membership(request, invite)})
    try:
        role = _accept(request, token, form)
    except Refusal as refusal:
        context["refusal"] = refusal.sentence
        return render(request, "studies/join.html", context, status=refusal.status)
    return redirect("rate" if role == Role.RATER else "study", invite.study.slug)


def _membership(request: HttpRequest, invite: Invite) -> Membership | None:
    if not request.user.is_authenticated:
        return None
    return Membership.objects.filter(study=invite.study, user=request.user).first()


def _accept(request: HttpRequest, token: str, form: AccountForm) -> str:
    if isinstance(request.user, User):
        return services.accept_invite(token=token, user=request.user).role
    if sentence := too_often(request):
        raise TooManyAccounts(sentence)
    if form.is_bound and not form.is_valid():
        raise Refusal(_("No account was made; see what is said beside the fields."))
    given = form.cleaned_data if form.is_bound else {}
    user = services.create_user_by_invite(
        token=token,
        username=given.get("username", ""),
        password=given.get("password1", ""),
        email=given.get("email", ""),
    )
    login(request, user)
    return user.memberships.get().role


class TooManyAccounts(Refusal):
    status = 429
