"""The page of a run, and a submission's runs and near-duplicates on the submission's own page."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_submission, has_right, role_in
from evalhub.studies.models import Submission
from metrics import services
from metrics.access import get_run, runs_of
from metrics.engine.protocol import DTYPES
from metrics.models import DuplicateSearch, NearDuplicate, Run, Shard, ShardState

# A submission rarely has more runs; the newest say what counts.
RUNS_SHOWN = 20
PARTS_SHOWN = 200
PAIRS_ON_A_PAGE = 24
PROTOCOLS = (("clean", "clean, as clean-fid"), ("tf1", "tf1, as torch-fidelity"))


@login_required
@never_cache
@require_GET
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """A run; while it goes on, the page asks for its changing part alone."""
    actor = Actor.of(request)
    return _run_page(request, actor, get_run(actor, run_id, "see"))


@login_required
@require_POST
def run_cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _change(request, run_id, services.cancel_run)


@login_required
@require_POST
def run_retry(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _change(request, run_id, services.retry_run)


def _change(request: HttpRequest, run_id: UUID, verb: Any) -> HttpResponse:
    actor = Actor.of(request)
    found = get_run(actor, run_id, "submit")
    try:
        verb(run=found, actor=actor.user)
    except Refusal as refusal:
        return _run_page(request, actor, get_run(actor, run_id, "see"), refusal)
    return redirect("run", run_id)


def _run_page(request: HttpRequest, actor: Actor, found: Run, refusal: Refusal | None = None) -> HttpResponse:
    study = found.submission.checkpoint.study
    progress = found.progress()
    price = services.price_of(found.device)
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "submissions",
        "run": found,
        "checkpoint": found.submission.checkpoint,
        "progress": progress,
        "cost": progress.busy / 3600 * price if price is not None else None,
        "parts": _parts_to_show(found),
        "may_submit": has_right(actor, study, "submit"),
        "refusal": refusal,
    }
    # htmx asks with this header: its answer is put in place of the changing part.
    template = "metrics/run_body.html" if request.headers.get("HX-Request") else "metrics/run.html"
    return render(request, template, context, status=refusal.status if refusal else 200)


def _parts_to_show(found: Run) -> list[Shard]:
    """In order; of very many, those that say most: failed and running ones, then those that needed several attempts."""
    telling = sorted(
        found.shards.all(),
        key=lambda shard: (shard.state not in (ShardState.FAILED, ShardState.LEASED), -shard.attempts, shard.index),
    )
    return sorted(telling[:PARTS_SHOWN], key=lambda shard: shard.index)


@login_required
@never_cache
@require_GET
def submission_runs(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """A submission's runs, as a part of its page or, without JavaScript, as a page."""
    actor = Actor.of(request)
    return _runs_page(request, actor, get_submission(actor, submission_id, "see"))


@login_required
@require_POST
def run_start(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """Score a submission by the metrics that were ticked."""
    actor = Actor.of(request)
    submission = get_submission(actor, submission_id, "submit")
    try:
        started = services.start_run(
            submission=submission,
            metrics=request.POST.getlist("metrics"),
            protocol=_protocol_asked(request),
            actor=actor.user,
        )
    except Refusal as refusal:
        return _runs_page(request, actor, submission, refusal)
    return redirect("run", started.pk)


def _protocol_asked(request: HttpRequest) -> services.ProtocolChoice:
    usual = services.ProtocolChoice()
    return services.ProtocolChoice(request.POST.get("protocol", usual.name), request.POST.get("dtype", usual.dtype))


def _about(submission: Submission, actor: Actor, refusal: Refusal | None) -> dict[str, Any]:
    """What every page about a submission says."""
    study = submission.checkpoint.study
    return {
        "study": study,
        "role": role_in(actor, study),
        "active": "submissions",
        "submission": submission,
        "checkpoint": submission.checkpoint,
        "may_work": submission.is_complete and has_right(actor, study, "submit"),
        "refusal": refusal,
    }


def _runs_page(
    request: HttpRequest, actor: Actor, submission: Submission, refusal: Refusal | None = None
) -> HttpResponse:
    runs = list(runs_of(submission)[:RUNS_SHOWN])
    context = _about(submission, actor, refusal)
    context |= {"runs": runs, "unfinished": any(not one.is_finished for one in runs)}
    if context["may_work"]:
        context |= _start_form(request, submission)
    template = "metrics/runs.html" if request.headers.get("HX-Request") else "metrics/runs_page.html"
    return render(request, template, context, status=refusal.status if refusal else 200)


def _start_form(request: HttpRequest, submission: Submission) -> dict[str, Any]:
    """What can be chosen, and what was asked for when it was refused."""
    choices = services.choices(submission)
    protocol = _protocol_asked(request)
    usual = [choice.metric.name for choice in choices if choice.automatic]
    return {
        "choices": choices,
        "protocols": PROTOCOLS,
        "dtypes": DTYPES,
        "asked": {
            "metrics": request.POST.getlist("metrics") or usual,
            "protocol": protocol.name,
            "dtype": protocol.dtype,
        },
    }


@login_required
@never_cache
@require_GET
def submission_duplicates(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """Outputs that are nearly the same as others, or as a reference; a submission's own page asks for a summary."""
    actor = Actor.of(request)
    return _duplicates_page(request, actor, get_submission(actor, submission_id, "see"))


@login_required
@require_POST
def duplicates_search(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """Search a submission for near-duplicates, anew where it was searched before."""
    actor = Actor.of(request)
    submission = get_submission(actor, submission_id, "submit")
    try:
        services.ask_for_duplicates(submission=submission, actor=actor.user)
    except Refusal as refusal:
        return _duplicates_page(request, actor, submission, refusal)
    return redirect("submission_duplicates", submission.pk)


def _duplicates_page(
    request: HttpRequest, actor: Actor, submission: Submission, refusal: Refusal | None = None
) -> HttpResponse:
    search = DuplicateSearch.objects.filter(submission=submission).first()
    context = _about(submission, actor, refusal) | {"search": search}
    if request.headers.get("HX-Request"):
        return render(request, "metrics/duplicates_summary.html", context)
    of = "references" if request.GET.get("of") == "references" else "outputs"
    pairs = NearDuplicate.objects.of(of).filter(search=search) if search else NearDuplicate.objects.none()
    context |= {
        "same": services.same_bytes(submission),
        "of": of,
        "page": Paginator(pairs.with_pictures(), PAIRS_ON_A_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "metrics/duplicates.html", context, status=refusal.status if refusal else 200)
