"""A study as its raters would see it, for members who may see its results. Nothing here takes an answer."""

from types import SimpleNamespace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Modality, Study
from evalhub.studies.words import as_html
from raters import services
from raters.presentation import Unpresentable
from raters.services import telling, trying
from raters.services.trying import SIDES, Trial
from raters.serving import serve
from raters.views.states import GIVEN_KEYS

PAGES = ("consent", "instructions", "desk")


@login_required
@require_GET
def preview(request: HttpRequest, slug: str) -> HttpResponse:
    """One of the pages that a rater meets: `?page=consent`, `instructions` or `desk`, there with `?prompt=1`."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    page = request.GET.get("page", "desk")
    if page not in PAGES:
        raise Http404
    asked = request.GET.get("prompt", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 8 else 0
    count = study.prompts.count()
    context: dict[str, Any] = {
        "study": study,
        "preview": page,
        "number": number,
        "count": count,
        "following": number % count + 1 if count else 1,
        "before": (number - 2) % count + 1 if count else 1,
        "may_manage": role_in(actor, study) == "owner",
        "criteria": [{"criterion": each, "choices": services.choices_of(each)} for each in study.criteria.all()],
    }
    context["answers"] = context["takes"] = {choice.value for each in context["criteria"] for choice in each["choices"]}
    return render(request, f"raters/preview_{page}.html", context | _content(study, page, number))


@login_required
@require_GET
def preview_picture(request: HttpRequest, slug: str, number: int, name: str) -> HttpResponseBase:
    """A side of a prompt's desk, or what the prompt gives."""
    study = get_study(Actor.of(request), slug, "see")
    trial = trying.trial(study=study, number=number)
    if trial is None or name not in {*SIDES, *trial.given}:
        raise Http404
    media = trial.sides[SIDES.index(name)] if name in SIDES else trial.given[name]
    copy = trying.ready_copy(study, media) if media and name != "mask" else None
    if copy is not None:
        return serve(request, copy)
    try:
        content, kind = trying.draw(trial, name)
    except Unpresentable as reason:
        raise Http404(str(reason)) from None
    return HttpResponse(content, content_type=kind, headers={"Cache-Control": "private, no-store"})


def _content(study: Study, page: str, number: int) -> dict[str, Any]:
    if page == "consent":
        return {"text": as_html(study.consent)}
    if page == "instructions":
        coming, paid = telling.what_comes(study), telling.what_is_paid(study)
        return {"text": as_html(study.instructions), "coming": coming, "paid": paid}
    trial = trying.trial(study=study, number=number)
    return _desk(trial, number) if trial else {"comparison": None}


def _desk(trial: Trial, number: int) -> dict[str, Any]:
    left, right = (_address(trial, number, side) for side in SIDES)
    return {
        "comparison": SimpleNamespace(token="preview", prompt=trial.prompt),
        "are_outputs": trial.are_outputs,
        "left": left,
        "right": right,
        "canvas": trial.canvas,
        "attachments": [
            {
                "name": name,
                "address": _address(trial, number, name),
                "key": GIVEN_KEYS[name],
                "tiled": False,
            }
            for name in trial.given
        ],
        "revision": 1,
        "last": "",
        "done": number - 1,
        "desk": "preview",
        "covered": trial.study.is_sensitive,
    }


def _address(trial: Trial, number: int, name: str) -> str:
    media = trial.sides[SIDES.index(name)] if name in SIDES else trial.given[name]
    # A video that has no copy yet plays as it was sent.
    if trial.study.modality == Modality.VIDEO and media and not trying.ready_copy(trial.study, media):
        return reverse("media", args=[trial.study.slug, media.pk])
    return reverse("preview_picture", args=[trial.study.slug, number, name])
