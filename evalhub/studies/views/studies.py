"""The list of studies, and a new one."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import NO_STUDIES, Actor, may_create_studies, visible_studies
from evalhub.studies.forms import StudyForm
from evalhub.studies.models import Membership, Study


@login_required
@require_GET
def studies(request: HttpRequest) -> HttpResponse:
    """Every study this person is in, with her role; those that she rates are things to do rather than rows."""
    actor = Actor.of(request)
    roles = dict(Membership.objects.filter(user=actor.user).values_list("study", "role"))
    rows = [(study, roles.get(study.pk, "owner")) for study in visible_studies(actor).with_counts()]
    context = {
        "to_rate": [study for study, role in rows if role == "rater"],
        "rows": [(study, role) for study, role in rows if role != "rater"],
        "may_create": may_create_studies(actor),
    }
    return render(request, "studies/studies.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def study_create(request: HttpRequest) -> HttpResponse:
    actor = Actor.of(request)
    if not may_create_studies(actor):
        raise PermissionDenied(NO_STUDIES)
    form = StudyForm(request.POST) if request.method == "POST" else StudyForm()
    context: dict[str, Any] = {"form": form}
    status = 200
    if request.method == "POST":
        try:
            study = _create(form, actor)
        except Refusal as refusal:
            context["refusal"], status = refusal.sentence, refusal.status
        else:
            messages.success(request, "The study is a draft. This list says what it has and what it lacks.")
            return redirect("study_settings", study.slug)
    return render(request, "studies/study_create.html", context, status=status)


def _create(form: StudyForm, actor: Actor) -> Study:
    if not form.is_valid():
        raise Refusal("No study was made; see what is said beside the fields.")
    given = form.cleaned_data
    return services.create_study(
        slug=given["slug"],
        name=given["name"],
        actor=actor.user,
        description=given["description"],
        modality=given["modality"],
        criteria=[("quality", "Quality", given["question"])],
    )
