"""A rater's own page: what she did, what she is due, what she agreed to; and her ways out. Nothing of others."""

from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, has_right
from evalhub.studies.words import as_html
from raters import services
from raters.models import Enrolment, EnrolmentState, Rater
from raters.services import leaving, telling
from raters.services.enrolling import BY_RULE
from raters.services.records import record_of
from raters.services.rules import account_of
from raters.views.entrance import for_finished_raters_too


@login_required
@require_GET
def mine(request: HttpRequest) -> HttpResponse:
    """All studies that she has compared in."""
    actor = Actor.of(request)
    return _page(request, actor, Rater.objects.filter(user=actor.user).first())


@require_GET
@for_finished_raters_too
def mine_in(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """The same of one study, for whoever came to it by a link and has nothing else here."""
    return _page(request, Actor.of(request), enrolment.rater, enrolment)


@require_POST
@for_finished_raters_too
def withdraw(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """Take back her consent in one study."""
    leaving.withdraw_consent(enrolment=enrolment)
    return redirect("mine_in", enrolment.study.slug)


@login_required
@require_POST
def erase(request: HttpRequest) -> HttpResponse:
    """Cut her from all she did here, everywhere."""
    actor = Actor.of(request)
    rater = Rater.objects.filter(user=actor.user).first()
    return _erase(request, actor, rater, None) if rater else redirect("mine")


@require_POST
@for_finished_raters_too
def erase_in(request: HttpRequest, enrolment: Enrolment) -> HttpResponse:
    """The same, from the page of one study."""
    return _erase(request, Actor.of(request), enrolment.rater, enrolment)


def _erase(request: HttpRequest, actor: Actor, rater: Rater, only: Enrolment | None) -> HttpResponse:
    if not request.POST.get("sure"):
        refusal = Refusal(_("Erasing cannot be undone, so it takes a tick in the box as well; nothing happened."))
        return _page(request, actor, rater, only, refusal)
    if request.POST.get("unused"):
        for enrolment in rater.enrolments.select_related("rater", "study"):
            leaving.withdraw_consent(enrolment=enrolment)
    gone = leaving.erase(rater=rater)
    if gone:
        logout(request)
    return render(request, "raters/erased.html", {"gone": gone, "unused": bool(request.POST.get("unused"))})


def _page(
    request: HttpRequest,
    actor: Actor,
    rater: Rater | None,
    only: Enrolment | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    enrolments = rater.enrolments.select_related("rater", "study") if rater else Enrolment.objects.none()
    if only is not None:
        enrolments = enrolments.filter(pk=only.pk)
    parts = [_part(actor, enrolment) for enrolment in enrolments.order_by("-created_at", "-pk")]
    context = {
        "parts": parts,
        "study": only.study if only else None,
        "stays": leaving.account_stays(actor.user),
        "nothing": rater is None,
        "refusal": refusal.sentence if refusal else "",
    }
    response = render(request, "raters/mine.html", context, status=refusal.status if refusal else 200)
    add_never_cache_headers(response)
    return response


def _part(actor: Actor, enrolment: Enrolment) -> dict[str, Any]:
    """One study."""
    study, rater = enrolment.study, enrolment.rater
    rules = services.rules_of(study)
    account = account_of(enrolment, rules, record_of(study, rater))
    withdrawn = enrolment.state == EnrolmentState.WITHDRAWN
    left_out = enrolment.excluded_at is not None
    return {
        "enrolment": enrolment,
        "study": study,
        "done": services.answered_by(rater, study),
        "account": account,
        "rules": rules,
        "amount": None if account.amount is None else telling.money(account.amount),
        "paid": telling.what_is_paid(study),
        "consent": as_html(study.consent) if enrolment.consent_version == study.consent_version else "",
        "withdrawn": withdrawn,
        "left_out": left_out and not withdrawn,
        "why": enrolment.exclusion_reason.removeprefix(BY_RULE)
        if rules.shows_consistency and enrolment.exclusion_reason.startswith(BY_RULE)
        else "",
        "may_go_on": study.takes_votes and has_right(actor, study, "rate"),
        "consented": enrolment.consented_at is not None,
    }
