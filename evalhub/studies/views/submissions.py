"""What was submitted to a study, and one submission with its facts, its report and its pictures."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study, get_submission, role_in
from evalhub.studies.models import EntryState, Submission
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
    found = get_submission(actor, submission_id, "see")
    study = found.checkpoint.study
    entries = found.entries.select_related("prompt__reference", "media").order_by("prompt__position", "prompt", "seed")
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "submissions",
        "submission": found,
        "checkpoint": found.checkpoint,
        "report": report(found),
        "references": study.prompts.exclude(reference=None).exists(),
        "page": Paginator(entries, PICTURES_ON_A_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "studies/submission.html", context)
