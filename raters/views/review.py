"""The raters of a study, for its owners: how far each can be trusted, and whether her votes count."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F, FilteredRelation, Prefetch, Q, QuerySet, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Abs, NullIf
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Criterion, Study
from raters import services
from raters.models import Enrolment, Fit, Standing

RATERS_ON_A_PAGE = 100


def _share(what: str) -> CombinedExpression:
    """Hits of all, null of none."""
    return F(f"standing__{what}_hits") * 1.0 / NullIf(F(f"standing__{what}_total"), Value(0))


# What the table can be ordered by: the head, what it says, and the expression. Missing values come last either way.
HEADS = (
    ("rater", "Rater", "A name made from the rater's id, the same everywhere", F("rater_id")),
    ("group", "Group", "Rankings can be cut by it", F("group")),
    ("state", "State", "Where she stands, and whether her votes count", F("excluded_at")),
    ("votes", "Votes", "Answers to this question, controls apart", F("standing__votes")),
    ("weight", "Trust", "Mean weight of her votes, and the probability that one is a lapse", F("standing__weight")),
    ("gold", "Gold", "Known answers found", _share("gold")),
    ("repeats", "Repeats", "Pairs answered as before", _share("repeat")),
    ("bias", "Left bias", "How much stronger the left side is to her, in Elo", Abs(F("standing__side_bias"))),
    ("seconds", "Seconds", "Median from both sides shown to the answer", F("standing__median_seconds")),
    (
        "agreement",
        "Agreement",
        "Decisions for the side that the ranking favours; in brackets what is to be expected",
        F("standing__agreement") - F("standing__expected_agreement"),
    ),
    ("influence", "Influence", "Largest change of a rating without her, in Elo", Abs(F("standing__influence"))),
)
FIRST = "weight"  # the least trusted are looked at first


@login_required
@require_GET
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """Every rater beside the newest ranking of one question: `?criterion=`, `?sort=`, `?page=`."""
    actor = Actor.of(request)
    return _page(request, actor, get_study(actor, slug, "manage"))


@login_required
@require_POST
def exclude(request: HttpRequest, slug: str, rater_id: UUID) -> HttpResponse:
    """Leave her votes out, for a reason, or let them in again."""
    actor, enrolment = _enrolment(request, slug, rater_id)
    reason, name = request.POST.get("reason", "").strip(), enrolment.rater.pseudonym
    back = "again" in request.POST
    try:
        if not back and not reason:
            raise Refusal(f"Excluding rater {name} takes a reason, which the study's log keeps; write one.")
        services.set_exclusion(enrolment=enrolment, reason="" if back else reason, actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, enrolment.study, refusal)
    counts = "count again" if back else "no longer count"
    messages.success(request, f"The votes of rater {name} {counts}; the ranking follows in a few seconds.")
    return _back(request, enrolment.study)


@login_required
@require_POST
def group(request: HttpRequest, slug: str, rater_id: UUID) -> HttpResponse:
    """Say which group she belongs to."""
    actor, enrolment = _enrolment(request, slug, rater_id)
    try:
        changed = services.set_group(enrolment=enrolment, group=request.POST.get("group", ""), actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, enrolment.study, refusal)
    where = f"in the group “{changed.group}”" if changed.group else "in no group"
    messages.success(request, f"Rater {enrolment.rater.pseudonym} is {where}.")
    return _back(request, enrolment.study)


def _enrolment(request: HttpRequest, slug: str, rater_id: UUID) -> tuple[Actor, Enrolment]:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    return actor, get_object_or_404(Enrolment.objects.select_related("rater", "study"), study=study, rater=rater_id)


def _back(request: HttpRequest, study: Study) -> HttpResponse:
    query = f"?{request.GET.urlencode()}" if request.GET else ""
    return redirect(reverse("rater_review", args=[study.slug]) + query)


def _page(request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None) -> HttpResponse:
    criteria = list(study.criteria.all())
    criterion = next((one for one in criteria if one.key == request.GET.get("criterion")), criteria[0])
    sort = _sort(request)
    enrolments = raters_of(study, criterion, sort)
    fits = Fit.objects.of(study, criterion, {}).done()
    fit = fits.defer("head_to_head", "pairing", "separations", "inputs").first()
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "criteria": criteria,
        "criterion": criterion,
        "fit": fit,
        "page": Paginator(enrolments, RATERS_ON_A_PAGE).get_page(request.GET.get("page")),
        "excluded": enrolments.exclude(excluded_at=None).count(),
        "groups": services.groups_of(study),
        "heads": [_head(sort, *head[:3]) for head in HEADS],
        "query": request.GET.urlencode(),
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/review.html", context, status=refusal.status if refusal else 200)


def raters_of(study: Study, criterion: Criterion, sort: str = FIRST) -> QuerySet[Enrolment]:
    """Everybody enrolled, with her standing on the criterion in `on_criterion` (a list of one or none)."""
    key = sort.removeprefix("-")
    value = {head[0]: head[3] for head in HEADS}[key]
    order = value.desc(nulls_last=True) if sort.startswith("-") else value.asc(nulls_last=True)
    standing = FilteredRelation("standings", condition=Q(standings__criterion=criterion))
    of_criterion = Standing.objects.filter(criterion=criterion)
    return (
        Enrolment.objects.filter(study=study)
        .annotate(standing=standing)
        .select_related("rater", "study")
        .prefetch_related(Prefetch("standings", of_criterion, to_attr="on_criterion"))
        .order_by(order, "created_at", "id")
    )


def _sort(request: HttpRequest) -> str:
    asked = request.GET.get("sort", FIRST)
    return asked if asked.removeprefix("-") in {head[0] for head in HEADS} else FIRST


def _head(sort: str, key: str, title: str, says: str) -> dict[str, str]:
    """One column's head: how it is ordered now, and what its link orders it by."""
    active = sort.removeprefix("-") == key
    direction = ("descending" if sort.startswith("-") else "ascending") if active else "none"
    turned = key if active and sort.startswith("-") else f"-{key}"
    if not active and key in {"rater", "group", "weight", "gold", "repeats", "seconds", "agreement"}:
        turned = key  # the doubtful end first
    return {"key": key, "title": title, "says": says, "direction": direction, "sort": turned}
