"""Every prompt with what each contestant made of it: where people look before they believe a number."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Checkpoint, Prompt, Sample, Study, SubmissionState

PROMPTS_ON_A_PAGE = 24
MOST_COLUMNS = 8
SHOWN_UNASKED = 5


@dataclass(frozen=True)
class Cell:
    """What one contestant made of one prompt: its first seed, and how many it has."""

    checkpoint: Checkpoint
    sample: Sample | None
    seeds: int


@require_GET
@login_required
def gallery(request: HttpRequest, slug: str) -> HttpResponse:
    """A page of prompts; `c` names the contestants, `q` words of prompts, `tag` a tag."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    offered = list(_offered(study))
    columns = _chosen(request, offered)
    words, tag = (request.GET.get(name, "").replace("\0", "").strip() for name in ("q", "tag"))
    # Of the prompts before a page nothing is read but the index that holds their order.
    ids = Paginator(_prompts(study, words, tag).values_list("pk", flat=True), PROMPTS_ON_A_PAGE)
    page = ids.get_page(request.GET.get("page"))
    prompts = Prompt.objects.filter(pk__in=list(page)).prefetch_related(*Prompt.GIVEN)
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "gallery",
        "offered": offered,
        "columns": columns,
        "left_out": max(0, len(offered) - len(columns)),
        "most": MOST_COLUMNS,
        "words": words,
        "tag": tag,
        "page": page,
        "rows": _rows(list(prompts), columns),
    }
    return render(request, "studies/gallery.html", context)


def _offered(study: Study) -> QuerySet[Checkpoint]:
    complete = study.checkpoints.filter(submission__state=SubmissionState.COMPLETE)
    return complete.select_related("submission").order_by("-submission__completed_at")


def _chosen(request: HttpRequest, offered: list[Checkpoint]) -> list[Checkpoint]:
    """Those that were asked for, in the order of the list; else the newest few."""
    wanted = set()
    for text in request.GET.getlist("c"):
        try:
            wanted.add(UUID(text))
        except ValueError:
            continue
    chosen = [checkpoint for checkpoint in offered if checkpoint.pk in wanted]
    return (chosen or offered[:SHOWN_UNASKED])[:MOST_COLUMNS]


def _prompts(study: Study, words: str, tag: str) -> QuerySet[Prompt]:
    prompts = study.prompts.all()
    if words:
        prompts = prompts.filter(Q(key__icontains=words) | Q(text__icontains=words))
    return prompts.filter(tags__contains=[tag]) if tag else prompts


def _rows(prompts: list[Prompt], columns: list[Checkpoint]) -> list[tuple[Prompt, list[Cell]]]:
    samples: dict[tuple[UUID, int], list[Sample]] = {}
    found = Sample.objects.filter(checkpoint__in=columns, prompt__in=prompts).select_related("media").order_by("seed")
    for sample in found:
        samples.setdefault((sample.checkpoint_id, sample.prompt_id), []).append(sample)
    rows = []
    for prompt in prompts:
        cells = []
        for checkpoint in columns:
            own = samples.get((checkpoint.pk, prompt.pk), [])
            cells.append(Cell(checkpoint, own[0] if own else None, len(own)))
        rows.append((prompt, cells))
    return rows
