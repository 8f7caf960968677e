"""A study's settings: its state, questions, rules and contestants. Owners only."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import BaseQuestions, QuestionsFormSet, StudySettingsForm
from evalhub.studies.models import Study, StudyState, SubmissionState


@login_required
@require_http_methods(["GET", "POST"])
def study_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """The page; a POST changes texts and rules."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    # The form writes into the instance it is given, and the page's head shows the study as it is.
    given = request.POST if request.method == "POST" else None
    form = StudySettingsForm(given, instance=get_study(actor, slug, "manage"))
    if request.method == "GET":
        return _page(request, actor, study, form=form)
    try:
        if not form.is_valid():
            raise Refusal("Nothing was changed; see what is said beside the fields.")
        services.change_study(
            study=study, actor=actor.user, **{name: form.cleaned_data[name] for name in form.changed_data}
        )
    except Refusal as refusal:
        return _page(request, actor, study, refusal, form=form)
    messages.success(request, "Saved.")
    return redirect("study_settings", study.slug)


@login_required
@require_POST
def study_questions(request: HttpRequest, slug: str) -> HttpResponse:
    """Add, reword, remove and order the questions of a draft."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    questions = _questions(study, request.POST)
    try:
        if not questions.is_valid():
            raise Refusal("No question was changed; see what is said beside the fields.")
        services.set_criteria(study=study, questions=questions.questions, actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal, questions=questions)
    messages.success(request, "The questions are saved.")
    return redirect("study_settings", study.slug)


@login_required
@require_POST
def study_state(request: HttpRequest, slug: str) -> HttpResponse:
    """Open (publish), pause or close a study."""
    verbs: dict[str, tuple[Callable[..., Study], str]] = {
        StudyState.OPEN: (services.publish_study, "The study is open: raters can compare."),
        StudyState.PAUSED: (
            services.pause_study,
            "The study is paused: nobody is shown a comparison until you open it.",
        ),
        StudyState.CLOSED: (services.close_study, "The study is closed. Its results stay."),
    }
    return _do(request, slug, verbs, "A study can be opened, paused or closed; it cannot become “{to}”.")


@login_required
@require_POST
def study_contestants(request: HttpRequest, slug: str) -> HttpResponse:
    """Register the contestants, or lift their registration."""
    verbs: dict[str, tuple[Callable[..., Study], str]] = {
        "registered": (services.register_contestants, "The contestants are registered; nobody joins them from now on."),
        "open": (services.lift_registration, "The registration is lifted: every complete submission competes."),
    }
    return _do(request, slug, verbs, "Contestants can be registered or open; they cannot become “{to}”.")


def _do(request: HttpRequest, slug: str, verbs: dict[str, tuple[Callable[..., Study], str]], no: str) -> HttpResponse:
    """Do what the pressed button says, with the study."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    wanted = request.POST.get("to", "")
    try:
        if wanted not in verbs:
            raise Refusal(no.format(to=wanted))
        verb, sentence = verbs[wanted]
        verb(study=study, actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    messages.success(request, sentence)
    return redirect("study_settings", study.slug)


def _questions(study: Study, given: Any = None) -> BaseQuestions:
    names = ("key", "name", "question", "allows_tie", "allows_both_bad")
    initial = list(study.criteria.values(*names))
    for place, question in enumerate(initial, 1):
        question["ORDER"] = place
    return cast(BaseQuestions, QuestionsFormSet(given, initial=initial, prefix="questions"))


def _page(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    refusal: Refusal | None = None,
    *,
    form: StudySettingsForm | None = None,
    questions: BaseQuestions | None = None,
) -> HttpResponse:
    complete = study.checkpoints.filter(submission__state=SubmissionState.COMPLETE)
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "settings",
        "form": form or StudySettingsForm(instance=study),
        "questions": questions or _questions(study),
        "prompt_count": study.prompts.count(),
        "contestant_count": complete.count(),
        "registered": study.checkpoints.registered().order_by("name", "step"),
        "late": study.checkpoints.exclude(pk__in=study.checkpoints.registered()).order_by("name", "step"),
        "criteria": study.criteria.all(),
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "studies/study_settings.html", context, status=refusal.status if refusal else 200)
