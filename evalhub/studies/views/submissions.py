"""What was submitted to a study, and one submission with its facts, its report and its pictures."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Max, Min, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from evalhub.problems import Refusal
from evalhub.studies import services
from evalhub.studies.access import (
    Actor,
    get_study,
    get_submission,
    get_submission_to_withdraw,
    may_withdraw,
    role_in,
)
from evalhub.studies.forms import WithdrawalForm
from evalhub.studies.models import EntryState, Media, MediaKind, Modality, Submission
from evalhub.studies.services import report

PICTURES_ON_A_PAGE = 48


@login_required
@require_GET
def submissions(request: HttpRequest, slug: str) -> HttpResponse:
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    rows = (
        Submission.objects.filter(checkpoint__study=study)
        .select_related("checkpoint", "created_by")
        .annotate(
            promised=Count("entries"),
            received=Count("entries", filter=Q(entries__state=EntryState.RECEIVED)),
            bad=Count("entries", filter=Q(entries__state=EntryState.BAD)),
        )
        .order_by("-created_at")
    )
    context = {"study": study, "role": role_in(actor, study), "active": "submissions", "rows": rows}
    return render(request, "studies/submissions.html", context)


@login_required
@require_GET
def submission(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """One delivery: what its team says of it, what is wrong with it, and every output beside its prompt."""
    actor = Actor.of(request)
    return _page(request, actor, get_submission(actor, submission_id, "see"), WithdrawalForm())


@login_required
@require_POST
def withdraw(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """Take the submission's checkpoint out of the running, for a reason that everybody can read."""
    actor = Actor.of(request)
    found = get_submission_to_withdraw(actor, submission_id)
    form = WithdrawalForm(request.POST)
    try:
        if not form.is_valid():
            raise Refusal("Nothing was withdrawn; see what is said beside the field.")
        services.withdraw_checkpoint(checkpoint=found.checkpoint, actor=actor.user, reason=form.cleaned_data["reason"])
    except Refusal as refusal:
        return _page(request, actor, found, form, refusal)
    messages.success(request, "The checkpoint is withdrawn: it stays listed, and raters are not shown it any more.")
    return redirect("submission", found.pk)


@login_required
@require_POST
def restore(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """Take a withdrawal back."""
    actor = Actor.of(request)
    found = get_submission_to_withdraw(actor, submission_id)
    try:
        services.restore_checkpoint(checkpoint=found.checkpoint, actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, found, WithdrawalForm(), refusal)
    messages.success(request, "The withdrawal is taken back: raters are shown the checkpoint again.")
    return redirect("submission", found.pk)


def _page(
    request: HttpRequest, actor: Actor, found: Submission, form: WithdrawalForm, refusal: Refusal | None = None
) -> HttpResponse:
    study = found.checkpoint.study
    entries = found.entries.prefetch_related("prompt__reference", "media")
    entries = entries.order_by("prompt__position", "prompt", "seed")
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "submissions",
        "submission": found,
        "checkpoint": found.checkpoint,
        "report": report(found),
        "videos": _videos(found) if study.modality == Modality.VIDEO else None,
        "references": study.prompts.exclude(reference=None).exists(),
        "page": Paginator(entries, PICTURES_ON_A_PAGE).get_page(request.GET.get("page")),
        "may_withdraw": may_withdraw(actor, found),
        "withdrawal": form,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "studies/submission.html", context, status=refusal.status if refusal else 200)


def _videos(found: Submission) -> dict[str, Any] | None:
    """What its videos are, from the least to the most of each; None where it has none."""
    videos = Media.objects.filter(pk__in=found.entries.exclude(media=None).values("media"), kind=MediaKind.VIDEO)
    by_size = videos.order_by("width", "height").values_list("width", "height")
    if not by_size:
        return None
    counted = videos.aggregate(Min("fps"), Max("fps"), Min("duration"), Max("duration"), Sum("frames"))
    return {
        "codecs": sorted(set(videos.values_list("codec", flat=True))),
        "smallest": by_size[0],
        "largest": by_size.reverse()[0],
        "rates": (counted["fps__min"], counted["fps__max"]),
        "seconds": (counted["duration__min"], counted["duration__max"]),
        "frames": counted["frames__sum"],
    }
