"""The table and the pages behind it."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET
from django_htmx.middleware import HtmxDetails

from evalhub.leaderboard import charts
from evalhub.leaderboard.columns import all_columns, grouped
from evalhub.leaderboard.questions import Question, ask
from evalhub.leaderboard.sections import SECTIONS
from evalhub.leaderboard.summary import summary
from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, role_in
from raters.models import Enrolment, FitState
from raters.services.slices import COVARIATES, groups_of, slice_title, tags_of

POLL_SECONDS = 4


@require_GET
@login_required
def study_page(request: HttpRequest, slug: str) -> HttpResponse:
    """A study's leaderboard; every state of it is an address: see `evalhub.leaderboard.questions`."""
    return _page(request, slug, "leaderboard/leaderboard.html", "")


@require_GET
@login_required
def section_page(request: HttpRequest, slug: str, section: str) -> HttpResponse:
    """What lies behind the table: head to head, training, cost, metrics and people, history."""
    if section not in SECTIONS:
        raise Http404
    return _page(request, slug, SECTIONS[section].template, section)


def _page(request: HttpRequest, slug: str, template: str, section: str) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "leaderboard",
        "section": section,
        "sections": SECTIONS.values(),
        "poll_seconds": POLL_SECONDS,
    }
    try:
        question = ask(actor, study, request.GET)
    except Refusal as refusal:
        context |= {"refusal": refusal.sentence}
        return render(request, "leaderboard/refused.html", context, status=refusal.status)
    context |= _about(question)
    board = context["board"]
    if section:
        found = SECTIONS[section].content(board, question, request.GET)
        context |= {"title": SECTIONS[section].title, "chart": _drawings(found.pop("picture")), **found}
        return render(request, template, context)
    context |= {
        "summary": summary(board),
        "chart": _drawings(charts.ratings_chart(board)),
        "column_groups": grouped(all_columns(board.columns)),
    }
    return render(request, f"{template}#board" if HtmxDetails(request) else template, context)


def _about(question: Question) -> dict[str, Any]:
    board, unfinished = question.board(), question.unfinished
    waited_for = unfinished is not None and unfinished.state != FitState.FAILED
    return {
        "question": question,
        "board": board,
        "tags": tags_of(question.study),
        "groups": groups_of(question.study),
        "covariates": COVARIATES,
        "has_simulated": Enrolment.objects.filter(study=question.study, rater__simulated=True).exists(),
        "slice_title": slice_title(question.slice),
        "is_moving": waited_for or (question.frozen is None and not board.is_settled),
        "waited_for": waited_for,
    }


def _drawings(picture: charts.Picture | None) -> list[tuple[str, SafeString]]:
    """A chart for a page and one for a telephone, of which the style sheet shows one; Vega escapes what it draws."""
    sizes = {"on-page": charts.WIDTH, "on-telephone": charts.NARROW} if picture else {}
    return [(name, mark_safe(charts.inline_svg(picture, width))) for name, width in sizes.items() if picture]
