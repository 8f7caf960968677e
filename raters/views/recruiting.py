"""How owners let people in who have no accounts, and what became of who came."""

import csv
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Extract, Now
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from raters.models import Comparison, Platform, Recruitment, Visit, VisitOutcome
from raters.platforms import mturk, prolific
from raters.services.recruiting import change_recruitment, close_recruitment, open_recruitment
from raters.services.shares import COUNTED

VISITS_ON_A_PAGE = 100
ON_PROLIFIC = "On Prolific only."
PROLIFICS_OWN = ("screened_out_code", "no_consent_code")  # elsewhere whoever does not complete is given none
COLUMNS = (
    "visit",
    "participant",
    "session",
    "platform_study",
    "rater",
    "started_at",
    "ended_at",
    "minutes",
    "answers",
    "outcome",
)


class WaysForm(forms.Form):
    """What a way in asks for, and the codes that its platform wants."""

    comparisons = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        label="Comparisons per visit",
        help_text="A visit is complete after so many. Empty: when nothing is left to compare.",
    )
    completion_code = forms.CharField(
        required=False,
        max_length=64,
        help_text="Given to whoever completes.",
    )
    screened_out_code = forms.CharField(
        required=False,
        max_length=64,
        label="Screen-out code",
        help_text="Given to whoever is screened out. Empty: she is asked to return her submission.",
    )
    no_consent_code = forms.CharField(
        required=False,
        max_length=64,
        label="No-consent code",
        help_text="Given to whoever does not agree. Empty: she is asked to return her submission.",
    )


class NewWayForm(WaysForm):
    """A new way in."""

    field_order = ("platform", "name", "comparisons")
    platform = forms.ChoiceField(choices=Platform, label="Who sends people")
    name = forms.CharField(
        max_length=40, help_text="Rankings can be cut by it: it becomes the group of whoever comes this way."
    )
    completion_code = forms.CharField(
        required=False,
        max_length=64,
        help_text="Given to whoever completes. Empty: one is made, but for an open link, where few want one.",
    )
    screened_out_code = forms.CharField(required=False, max_length=64, label="Screen-out code", help_text=ON_PROLIFIC)
    no_consent_code = forms.CharField(required=False, max_length=64, label="No-consent code", help_text=ON_PROLIFIC)


@login_required
@require_http_methods(["GET", "POST"])
def recruiting(request: HttpRequest, slug: str) -> HttpResponse:
    """All ways in; a POST makes one."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    form = NewWayForm(request.POST or None)
    refusal = None
    if request.method == "POST":
        try:
            if not form.is_valid():
                raise Refusal("Nothing was made; see what is said beside the fields.")
            made = open_recruitment(study=study, actor=actor.user, **form.cleaned_data)
            return redirect("recruitment", study.slug, made.pk)
        except Refusal as refused:
            refusal = refused
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "recruiting",
        "recruitments": with_visits(study),
        "form": form,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/recruiting.html", context, status=refusal.status if refusal else 200)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def recruitment(request: HttpRequest, slug: str, recruitment_id: UUID) -> HttpResponse:
    """One way in: its address, codes and visits; a POST changes the codes."""
    actor, found = _recruitment(request, slug, recruitment_id)
    kept = {name: getattr(found, name) for name in WaysForm.base_fields}
    form = WaysForm(request.POST) if request.method == "POST" else WaysForm(initial=kept)
    for name in () if found.platform == Platform.PROLIFIC else PROLIFICS_OWN:
        del form.fields[name]
    refusal = None
    if request.method == "POST":
        try:
            if not form.is_valid():
                raise Refusal("Nothing was changed; see what is said beside the fields.")
            change_recruitment(recruitment=found, actor=actor.user, **form.cleaned_data)
            messages.success(request, "Changed. Whoever has left keeps what she was given.")
            return redirect("recruitment", slug, found.pk)
        except Refusal as refused:
            refusal = refused
    context = {
        "study": found.study,
        "role": role_in(actor, found.study),
        "active": "recruiting",
        "recruitment": found,
        "address": address_of(request, found),
        "needs_https": found.platform == Platform.MTURK and not request.is_secure(),
        "page": Paginator(visits_of(found), VISITS_ON_A_PAGE).get_page(request.GET.get("page")),
        "form": form,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/recruitment.html", context, status=refusal.status if refusal else 200)


@login_required
@require_POST
def recruitment_close(request: HttpRequest, slug: str, recruitment_id: UUID) -> HttpResponse:
    """Let nobody new in."""
    actor, found = _recruitment(request, slug, recruitment_id)
    close_recruitment(recruitment=found, actor=actor.user)
    messages.success(request, f"“{found.name}” takes nobody new any more. Whoever came before goes on.")
    return redirect("recruitment", slug, found.pk)


@login_required
@require_GET
def recruitment_visits(request: HttpRequest, slug: str, recruitment_id: UUID) -> StreamingHttpResponse:
    """Every visit as CSV, for comparing with the platform's own list."""
    _, found = _recruitment(request, slug, recruitment_id)
    lines = csv.writer(cast(Any, _Echo()))
    rows = (_row(visit) for visit in visits_of(found).iterator())
    response = StreamingHttpResponse(
        (lines.writerow(row) for row in _after(COLUMNS, rows)), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="visits-{found.pk}.csv"'
    return response


@login_required
@require_GET
def recruitment_question(request: HttpRequest, slug: str, recruitment_id: UUID) -> HttpResponse:
    """The ExternalQuestion of Mechanical Turk, for `CreateHIT`."""
    _, found = _recruitment(request, slug, recruitment_id)
    get_object_or_404(Recruitment, pk=found.pk, platform=Platform.MTURK)
    response = HttpResponse(mturk.question(address_of(request, found)), content_type="application/xml")
    response["Content-Disposition"] = 'attachment; filename="external-question.xml"'
    return response


def address_of(request: HttpRequest, found: Recruitment) -> str:
    """What the owner gives to people, or to the platform that sends them."""
    entrance = request.build_absolute_uri(reverse("take_part", args=[found.token]))
    return prolific.study_address(entrance) if found.platform == Platform.PROLIFIC else entrance


def with_visits(study: Study) -> QuerySet[Recruitment]:
    """A study's ways in, the newest first, with how many came by each and how that went."""
    counts = {
        name: Count("visits", filter=Q(visits__outcome=outcome))
        for name, outcome in (
            ("under_way", VisitOutcome.OPEN),
            ("completed", VisitOutcome.COMPLETED),
            ("screened_out", VisitOutcome.SCREENED_OUT),
            ("no_consent", VisitOutcome.NO_CONSENT),
        )
    }
    return study.recruitments.annotate(came=Count("visits"), **counts).order_by("-created_at")


def visits_of(found: Recruitment) -> QuerySet[Visit]:
    """The newest first, each with its minutes until now or its end, and the answers given in that time."""
    answers = (
        Comparison.objects.answered()
        .filter(
            COUNTED,
            study=found.study_id,
            rater=OuterRef("enrolment__rater"),
            answered_at__gte=OuterRef("started_at"),
            answered_at__lte=Coalesce(OuterRef("ended_at"), Now()),
        )
        .order_by()
        .values("rater")
        .annotate(count=Count("id"))
        .values("count")
    )
    others = Visit.objects.filter(
        recruitment=found, participant=OuterRef("participant"), external_study=OuterRef("external_study")
    ).exclude(pk=OuterRef("pk"))
    return (
        found.visits.select_related("enrolment__rater")
        .annotate(
            answers=Coalesce(Subquery(answers), 0),
            minutes=Extract(Coalesce(F("ended_at"), Now()) - F("started_at"), "epoch") / 60.0,
            again=Exists(others),
        )
        .order_by("-started_at", "-pk")
    )


def _recruitment(request: HttpRequest, slug: str, recruitment_id: UUID) -> tuple[Actor, Recruitment]:
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    return actor, get_object_or_404(study.recruitments.select_related("study"), pk=recruitment_id)


def _row(visit: Any) -> tuple[object, ...]:
    return (
        visit.key,
        visit.participant,
        visit.session,
        visit.external_study,
        visit.enrolment.rater.pseudonym,
        visit.started_at.isoformat(timespec="seconds"),
        visit.ended_at.isoformat(timespec="seconds") if visit.ended_at else "",
        round(float(visit.minutes), 1),
        visit.answers,
        visit.outcome or "under_way",
    )


def _after(head: tuple[str, ...], rows: Any) -> Any:
    yield head
    yield from rows


class _Echo:
    """A file that hands back what is written to it, so that rows are sent as they are read."""

    def write(self, line: str) -> str:
        return line
