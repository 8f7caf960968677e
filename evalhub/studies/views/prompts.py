"""A study's prompts: the gallery that everybody sees, and how an owner of a draft fills it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Func
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.forms import PromptFilesForm, PromptForm
from evalhub.studies.models import Media, PromptList, Study, StudyState

PROMPTS_ON_A_PAGE = 60
LINES_ON_A_PAGE = 100
PROBLEMS_SHOWN = 200
PARTS = ("source", "mask", "reference")


@login_required
@require_GET
def prompts(request: HttpRequest, slug: str) -> HttpResponse:
    """What every contestant was asked, as a gallery."""
    actor = Actor.of(request)
    return _gallery(request, actor, get_study(actor, slug, "see"))


@login_required
@require_http_methods(["GET", "POST"])
def prompts_add(request: HttpRequest, slug: str) -> HttpResponse:
    """A POST reads a list with its files, which then waits to be looked at."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    form = PromptFilesForm(request.POST, request.FILES) if request.method == "POST" else PromptFilesForm()
    if request.method == "GET":
        return _adding(request, actor, study, form=form)
    try:
        if not form.is_valid():
            raise Refusal("Nothing was read; see what is said beside the fields.")
        services.read_prompts(study=study, actor=actor.user, **form.given)
    except Refusal as refusal:
        return _adding(request, actor, study, refusal, form=form)
    return redirect("prompts_waiting", study.slug)


@login_required
@require_POST
def prompt_type(request: HttpRequest, slug: str) -> HttpResponse:
    """One prompt by hand."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    typed = PromptForm(request.POST, request.FILES)
    try:
        if not typed.is_valid():
            raise Refusal("Nothing was added; see what is said beside the fields.")
        prompt = services.type_prompt(study=study, actor=actor.user, **typed.cleaned_data)
    except Refusal as refusal:
        return _adding(request, actor, study, refusal, typed=typed)
    messages.success(request, f"The prompt “{prompt.key}” is added.")
    return redirect("prompts_add", study.slug)


@login_required
@require_http_methods(["GET", "POST"])
def prompts_waiting(request: HttpRequest, slug: str) -> HttpResponse:
    """The list as it was read, with every problem by line; a POST keeps it or puts it away."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _waiting(request, actor, study)
    wanted = request.POST.get("to", "")
    try:
        if wanted in {"add", "replace"}:
            count = services.keep_prompts(study=study, actor=actor.user, instead=wanted == "replace")
            messages.success(request, f"{count:,} prompt{'' if count == 1 else 's'} added.")
        elif wanted == "discard":
            services.discard_prompts(study=study)
            messages.success(request, "The list was put away; nothing was added.")
        else:
            raise Refusal(f"A list is added, replaces the prompts, or is put away; “{wanted[:40]}” is none of these.")
    except Refusal as refusal:
        return _waiting(request, actor, study, refusal)
    return redirect("prompts", study.slug)


@login_required
@require_POST
def prompts_remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Remove the prompt that is named, or all of them."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    keys = None if request.POST.get("to") == "all" else request.POST.getlist("key")
    try:
        count = services.remove_prompts(study=study, actor=actor.user, keys=keys)
    except Refusal as refusal:
        return _gallery(request, actor, study, refusal)
    if keys is not None and len(keys) == count == 1:
        messages.success(request, f"The prompt “{keys[0]}” is removed.")
    else:
        messages.success(request, f"{count:,} prompt{'' if count == 1 else 's'} removed.")
    return redirect("prompts", study.slug)


def _gallery(request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None) -> HttpResponse:
    found = study.prompts.prefetch_related(*PARTS)
    wanted = request.GET.get("tag", "").replace("\0", "")  # which no text in a database holds
    pages = Paginator(found.filter(tags__contains=[wanted]) if wanted else found, PROMPTS_ON_A_PAGE)
    context = {
        "tag": wanted,
        "tags": sorted(study.prompts.order_by().values_list(Func("tags", function="unnest"), flat=True).distinct()),
        "page": pages.get_page(request.GET.get("page")),
        "waiting": PromptList.objects.filter(study=study).first(),
    }
    return _page(request, actor, study, "studies/prompts.html", context, refusal)


def _adding(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    refusal: Refusal | None = None,
    *,
    form: PromptFilesForm | None = None,
    typed: PromptForm | None = None,
) -> HttpResponse:
    context = {"form": form or PromptFilesForm(), "typed": typed or PromptForm()}
    return _page(request, actor, study, "studies/prompts_add.html", context, refusal)


def _waiting(request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None) -> HttpResponse:
    waiting = PromptList.objects.filter(study=study).first()
    if waiting is None:
        return _gallery(request, actor, study, refusal) if refusal else redirect("prompts_add", study.slug)
    page = Paginator(waiting.lines, LINES_ON_A_PAGE).get_page(request.GET.get("page"))
    media = Media.objects.in_bulk([line[part] for line in page for part in PARTS if line[part]])
    taken = services.clashes(waiting)
    context = {
        "waiting": waiting,
        "page": page,
        "rows": [{**line, "parts": [(part, media[line[part]]) for part in PARTS if line[part]]} for line in page],
        "problems": waiting.problems[:PROBLEMS_SHOWN],
        "more_problems": max(0, len(waiting.problems) - PROBLEMS_SHOWN),
        "taken": taken[:5],
        "taken_count": len(taken),
        "there": study.prompts.count(),
    }
    return _page(request, actor, study, "studies/prompts_waiting.html", context, refusal)


def _page(
    request: HttpRequest, actor: Actor, study: Study, template: str, context: dict[str, Any], refusal: Refusal | None
) -> HttpResponse:
    context |= {
        "study": study,
        "role": role_in(actor, study),
        "active": "prompts",
        "is_draft": study.state == StudyState.DRAFT,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, template, context, status=refusal.status if refusal else 200)
