"""Two contestants side by side, down to the single prompt."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from evalhub.leaderboard.comparing import VOTES, Comparing, Order, PromptDifferences, Said, by_tag, compare
from evalhub.studies.access import Actor, get_study, ratings_visible, role_in
from evalhub.studies.models import Checkpoint, Prompt, Sample, Study, SubmissionState

PROMPTS_ON_A_PAGE = 20
MOST_TAGS = 40


@dataclass(frozen=True)
class Compared:
    """One prompt with an output of each, their values and what was said of them."""

    prompt: Prompt
    first: Sample
    second: Sample
    before: float
    after: float
    difference: float
    said: Said


@require_GET
@login_required
def compare_page(request: HttpRequest, slug: str) -> HttpResponse:
    """`first` is the baseline and `second` what is held against it; `by`, `order` and `tag` choose the prompts."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    offered = list(_offered(study))
    first, second = _chosen(request, offered)
    context: dict[str, Any] = {"study": study, "role": role_in(actor, study), "active": "leaderboard"}
    context |= {"offered": offered, "first": first, "second": second, "title": "Two side by side"}
    if first is None or second is None or first == second:
        return render(request, "leaderboard/compare.html", context)
    found = compare(study, first, second, with_votes=ratings_visible(actor, study))
    people = found.differences(VOTES)
    context |= {"found": found, "people": people and people.mean, "withheld": not ratings_visible(actor, study)}
    context |= _prompts(request, found)
    return render(request, "leaderboard/compare.html", context)


def _offered(study: Study) -> QuerySet[Checkpoint]:
    complete = study.checkpoints.filter(submission__state=SubmissionState.COMPLETE)
    return complete.select_related("submission").order_by("-submission__completed_at")


def _chosen(request: HttpRequest, offered: list[Checkpoint]) -> tuple[Checkpoint | None, Checkpoint | None]:
    """Those of the address; without one, the newest contestant beside the one before it."""
    by_id = {str(checkpoint.pk): checkpoint for checkpoint in offered}
    newest = [*offered[:2], None, None]
    first = by_id.get(_uuid(request.GET.get("first", ""))) if "first" in request.GET else newest[1]
    second = by_id.get(_uuid(request.GET.get("second", ""))) if "second" in request.GET else newest[0]
    return first, second


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _prompts(request: HttpRequest, found: Comparing) -> dict[str, Any]:
    """The page of prompts, and what it was chosen and sorted by."""
    ways = {line.column.key: line.column.title for line in found.lines if line.differences}
    if found.said.votes:
        ways[VOTES] = "People's votes"
    by = request.GET.get("by", "")
    by = by if by in ways else next(iter(ways), "")
    order: Order = "best" if request.GET.get("order") == "best" else "worst"
    tag = request.GET.get("tag", "").replace("\0", "")
    differences = found.differences(by) if by else None
    context: dict[str, Any] = {"ways": ways, "by": by, "order": order, "tag": tag, "is_votes": by == VOTES}
    if differences is None:
        return context
    tags = by_tag(found.study, differences, order)
    places = differences.order(order)
    if tag:
        tagged = list(found.study.prompts.filter(tags__contains=[tag]).values_list("pk", flat=True))
        places = places[np.isin(differences.prompts[places], tagged)]
    page = Paginator(places, PROMPTS_ON_A_PAGE).get_page(request.GET.get("page"))
    context |= {"tags": tags[:MOST_TAGS], "tags_left_out": max(0, len(tags) - MOST_TAGS), "page": page}
    context["prompts"] = _compared(found, differences, [int(place) for place in page.object_list])
    return context


def _compared(found: Comparing, differences: PromptDifferences, places: list[int]) -> list[Compared]:
    prompts = [int(differences.prompts[place]) for place in places]
    of_prompt = Prompt.objects.select_related("reference", "source").in_bulk(prompts)
    samples: dict[tuple[object, int], Sample] = {}
    wanted = Sample.objects.filter(checkpoint__in=[found.first, found.second], prompt__in=prompts)
    for sample in wanted.select_related("media").order_by("-seed"):  # so that the lowest seed stays
        samples[(sample.checkpoint_id, sample.prompt_id)] = sample
    return [
        Compared(
            prompt=of_prompt[prompt],
            first=samples[(found.first.pk, prompt)],
            second=samples[(found.second.pk, prompt)],
            before=float(differences.first[place]),
            after=float(differences.second[place]),
            difference=float(differences.values[place]),
            said=found.said_of.get(prompt, Said()),
        )
        for place, prompt in zip(places, prompts, strict=True)
    ]
