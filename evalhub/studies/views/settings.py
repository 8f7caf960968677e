"""A study's settings: what it lacks, its state, questions, texts, rules and contestants. Owners only."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import SECTIONS, BaseQuestions, QuestionsFormSet, SectionForm
from evalhub.studies.models import Study, StudyState
from evalhub.studies.services import Question, Step
from evalhub.studies.usual import questions_for
from evalhub.studies.words import as_html


@login_required
@require_GET
def study_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """What the study has and lacks, its state, and its contestants."""
    actor = Actor.of(request)
    return _overview(request, actor, get_study(actor, slug, "manage"))


@login_required
@require_http_methods(["GET", "POST"])
def study_section(request: HttpRequest, slug: str, section: str) -> HttpResponse:
    """One section of the settings; a POST saves it, or shows its texts as raters would see them."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if section not in SECTIONS:
        raise Http404
    # The form writes into the instance it is given, and the page's head shows the study as it is.
    given = request.POST if request.method == "POST" else None
    form = SECTIONS[section](given, instance=get_study(actor, slug, "manage"))
    if request.method == "GET":
        return _section(request, actor, study, section, form)
    try:
        if not form.is_valid():
            raise Refusal("Nothing was changed; see what is said beside the fields.")
        if "preview" in request.POST:
            return _section(request, actor, study, section, form)
        services.change_study(study=study, actor=actor.user, **form.changes)
    except Refusal as refusal:
        return _section(request, actor, study, section, form, refusal)
    messages.success(request, "Saved.")
    return redirect("study_section", study.slug, section)


@login_required
@require_http_methods(["GET", "POST"])
def study_questions(request: HttpRequest, slug: str) -> HttpResponse:
    """Add, reword, remove and order the questions of a draft."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _questions_page(request, actor, study)
    questions = _questions(study, request.POST)
    try:
        if not questions.is_valid():
            raise Refusal("No question was changed; see what is said beside the fields.")
        wanted, sentence = _rearranged(questions.questions, request.POST.get("do", ""), study)
        services.set_criteria(study=study, questions=wanted, actor=actor.user)
    except Refusal as refusal:
        return _questions_page(request, actor, study, refusal, questions)
    messages.success(request, sentence)
    return redirect("study_questions", study.slug)


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
        return _overview(request, actor, study, refusal)
    messages.success(request, sentence)
    return redirect("study_settings", study.slug)


def _rearranged(questions: list[Question], do: str, study: Study) -> tuple[list[Question], str]:
    """The questions after what the pressed button does to them (up:2, remove:0, usual:motion), and what to say then."""
    deed, _, about = do.partition(":")
    if not deed:
        return questions, "The questions are saved."
    if deed == "usual":
        found = [usual for usual in questions_for(study.modality) if usual.key == about]
        if not found:
            raise Refusal(f"“{about[:40]}” is none of the usual questions of this study; choose one that is listed.")
        return [*questions, Question(found[0].name, found[0].question, found[0].key)], f"Added: {found[0].question}"
    place = int(about) if about.isascii() and about.isdigit() and len(about) < 4 else -1
    if deed not in {"up", "down", "remove"} or not 0 <= place < len(questions):
        raise Refusal("The question that this button belongs to is no longer there; reload the page.")
    moved = questions.pop(place)
    if deed == "remove":
        return questions, f"Removed: {moved.name}, “{moved.question}”"
    questions.insert(max(0, place - 1) if deed == "up" else place + 1, moved)
    return questions, f"“{moved.name}” is question {questions.index(moved) + 1} now."


def _questions(study: Study, given: Any = None) -> BaseQuestions:
    initial = list(study.criteria.values("key", "name", "question", "allows_tie", "allows_both_bad"))
    if given is not None:  # in another window there may be more of them by now
        there = given.get("questions-INITIAL_FORMS", "")
        initial = initial[: int(there) if there.isascii() and there.isdigit() and len(there) < 4 else 0]
    return cast(BaseQuestions, QuestionsFormSet(given, initial=initial, prefix="questions"))


def _overview(request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None) -> HttpResponse:
    steps = services.checklist(study)
    context = {
        "steps": [{**asdict(step), "address": _address(study, step)} for step in steps],
        "lacking": [step for step in steps if step.needed and not step.done],
        "registered": study.checkpoints.registered().order_by("name", "step"),
        "late": study.checkpoints.exclude(pk__in=study.checkpoints.registered()).order_by("name", "step"),
    }
    return _page(request, actor, study, "studies/study_settings.html", "overview", context, refusal)


def _address(study: Study, step: Step) -> str:
    return reverse(step.page, args=[study.slug, step.section] if step.section else [study.slug])


def _section(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    section: str,
    form: SectionForm,
    refusal: Refusal | None = None,
) -> HttpResponse:
    shown = {name: as_html(form.cleaned_data[name]) for name in ("consent", "instructions")} if _previews(form) else {}
    context = {"form": form, "section": section, "shown": shown}
    return _page(request, actor, study, "studies/study_section.html", section, context, refusal)


def _previews(form: SectionForm) -> bool:
    return "preview" in form.data and form.is_valid() and "consent" in form.cleaned_data


def _questions_page(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    refusal: Refusal | None = None,
    questions: BaseQuestions | None = None,
) -> HttpResponse:
    asked = set(study.criteria.values_list("key", flat=True))
    context = {
        "questions": questions or _questions(study),
        "criteria": study.criteria.all(),
        "usual": [usual for usual in questions_for(study.modality) if usual.key not in asked],
    }
    return _page(request, actor, study, "studies/study_questions.html", "questions", context, refusal)


def _page(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    template: str,
    at: str,
    context: dict[str, Any],
    refusal: Refusal | None,
) -> HttpResponse:
    context |= {
        "study": study,
        "role": role_in(actor, study),
        "active": "settings",
        "at": at,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, template, context, status=refusal.status if refusal else 200)
