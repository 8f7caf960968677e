"""Ship tests: who may ship, by a margin that was registered before the votes."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, has_right, ratings_visible, role_in
from evalhub.studies.models import Role, Study
from raters import services
from raters.models import Margin, Outcome, Verdict

WIDTH = 480  # of the picture, in its own units
EDGE = 8


class MarginForm(forms.Form):
    """A claim to register."""

    def __init__(self, study: Study, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        competing = study.checkpoints.registered().filter(withdrawn_at=None).order_by("name", "step")
        criteria = study.criteria.all()
        self.fields = {
            "candidate": forms.ModelChoiceField(competing, empty_label="Choose one", help_text="Who is to ship."),
            "baseline": forms.ModelChoiceField(
                competing, empty_label="Choose one", help_text="Who it must not be much worse than."
            ),
            "margin": forms.FloatField(
                initial=20,
                min_value=0,
                max_value=services.LARGEST_MARGIN,
                label="Margin in Elo",
                help_text="How much worse is still good enough. At 20 Elo the baseline would be preferred in 53 % of "
                "decided comparisons, at 35 in 55 %, at 50 in 57 %, at 100 in 64 %.",
            ),
        }
        if len(criteria) > 1:
            self.fields["criterion"] = forms.ModelChoiceField(criteria, empty_label=None)


@dataclass(frozen=True)
class Picture:
    """Where the interval, its middle, zero and the margin lie on a line WIDTH wide."""

    low: float
    high: float
    middle: float
    zero: float
    margin: float

    @classmethod
    def of(cls, verdict: Verdict) -> "Picture | None":
        """None where the two cannot be compared yet."""
        if verdict.difference is None or verdict.low is None or verdict.high is None:
            return None
        margin = verdict.margin.margin
        # As much is shown as it takes to see the interval beside the margin; a very wide one runs out of the picture.
        reach = max(4 * margin, abs(verdict.difference) * 1.3, margin + 10)

        def place(elo: float) -> float:
            return round(EDGE + (min(max(elo, -reach), reach) + reach) / (2 * reach) * (WIDTH - 2 * EDGE), 1)

        return cls(place(verdict.low), place(verdict.high), place(verdict.difference), place(0), place(-margin))


@dataclass(frozen=True)
class ShipTest:
    """A margin with its newest verdict, and the first that decided."""

    margin: Margin
    verdict: Verdict | None
    decided: Verdict | None
    may_withdraw: bool = False

    @property
    def picture(self) -> Picture | None:
        return Picture.of(self.verdict) if self.verdict else None


def ship_tests_of(study: Study, actor: Actor) -> list[ShipTest]:
    """All that were ever registered, the newest first; without verdicts for whom the ratings are withheld from."""
    verdicts = Verdict.objects.filter(margin__study=study).select_related("fit", "margin")
    if not ratings_visible(actor, study):
        verdicts = verdicts.none()
    newest = {one.margin_id: one for one in verdicts.order_by("margin_id", "-id").distinct("margin_id")}
    decisive = verdicts.exclude(outcome=Outcome.UNDECIDED)
    first = {one.margin_id: one for one in decisive.order_by("margin_id", "id").distinct("margin_id")}
    is_owner = role_in(actor, study) == Role.OWNER
    margins = study.margins.select_related("candidate", "baseline", "criterion", "registered_by")
    return [
        ShipTest(
            margin,
            newest.get(margin.pk),
            first.get(margin.pk),
            margin.withdrawn_at is None and (is_owner or margin.registered_by == actor.user),
        )
        for margin in margins
    ]


@login_required
@require_http_methods(["GET", "POST"])
def ship_tests(request: HttpRequest, slug: str) -> HttpResponse:
    """The study's ship tests; a POST registers one."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "submit" if request.method == "POST" else "see")
    if request.method == "GET":
        return _page(request, actor, study)
    form = MarginForm(study, request.POST)
    try:
        if not form.is_valid():
            raise Refusal("No ship test was registered; see what is said beside the fields.")
        given = {"criterion": study.criteria.first(), **form.cleaned_data}
        margin = services.register_margin(study=study, actor=actor.user, **given)
    except Refusal as refusal:
        return _page(request, actor, study, refusal, form)
    messages.success(request, f"Registered: {margin}. Votes cast from now on decide.")
    return redirect("ship_tests", study.slug)


@login_required
@require_POST
def withdraw(request: HttpRequest, slug: str, margin_id: UUID) -> HttpResponse:
    """Whoever registered a margin, or an owner, takes it back, with a reason."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "submit")
    margin = get_object_or_404(Margin, study=study, pk=margin_id)
    if margin.registered_by != actor.user and role_in(actor, study) != Role.OWNER:
        raise PermissionDenied("A ship test is withdrawn by whoever registered it, or by an owner of the study.")
    try:
        services.withdraw_margin(margin=margin, reason=request.POST.get("reason", ""), actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    messages.success(request, f"Withdrawn: {margin}. It stays listed.")
    return redirect("ship_tests", study.slug)


def _page(
    request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None, form: MarginForm | None = None
) -> HttpResponse:
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "ship",
        "tests": ship_tests_of(study, actor),
        "withheld": not ratings_visible(actor, study),
        "form": (form or MarginForm(study)) if has_right(actor, study, "submit") else None,
        "several": study.criteria.count() > 1,
        "width": WIDTH,
        "edge": EDGE,
        "right": WIDTH - EDGE,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/ship_tests.html", context, status=refusal.status if refusal else 200)
