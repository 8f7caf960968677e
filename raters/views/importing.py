"""Votes that were cast elsewhere: an owner sends a file, sees what it comes to, has it added, or takes it back."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from raters.models import VoteFile, VoteImport
from raters.services.import_progress import progress_of
from raters.services.importing import put_back, take_back
from raters.services.vote_uploads import add_vote_file, cancel_vote_file, receive_vote_file

FILES_SHOWN = 10


@login_required
@require_http_methods(["GET", "POST"])
def vote_imports(request: HttpRequest, slug: str) -> HttpResponse:
    """What came in by now, and the newest files. A POST brings a file, which a worker looks at."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _page(request, actor, study)
    name, criterion = request.POST.get("name", ""), request.POST.get("criterion", "")
    try:
        if (file := request.FILES.get("file")) is None:
            raise Refusal("No file came; choose a CSV file of votes.")
        received = receive_vote_file(
            study=study, file=file, name=name, actor=actor.user, criterion=criterion, only_look=True
        )
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    return redirect("vote_file", study.slug, received.pk)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def vote_file(request: HttpRequest, slug: str, file_id: UUID) -> HttpResponse:
    """One file on its way; while a worker is at it, the page asks for its changing part alone. A POST has it added,
    with `cancel` none of it."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    found = get_object_or_404(VoteFile.objects.select_related("study", "asked_by"), study=study, pk=file_id)
    refusal = None
    if request.method == "POST":
        try:
            if "cancel" in request.POST:
                cancel_vote_file(vote_file=found)
            else:
                add_vote_file(vote_file=found, actor=actor.user, leave_out=True)
        except Refusal as refused:
            refusal = refused
        else:
            return redirect("vote_file", study.slug, found.pk)
    context = _about(actor, study, refusal) | {
        "file": found,
        "report": found.report,
        "progress": progress_of(found) if found.is_in_work else None,
    }
    # htmx asks with this header: its answer is put in place of the changing part.
    template = "raters/imports_file_body.html" if request.headers.get("HX-Request") else "raters/imports_file.html"
    return render(request, template, context, status=refusal.status if refusal else 200)


@login_required
@require_POST
def change(request: HttpRequest, slug: str, import_id: UUID) -> HttpResponse:
    """Take an import back, for a reason, or put it back."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    found = get_object_or_404(VoteImport, study=study, pk=import_id)
    try:
        if "again" in request.POST:
            put_back(vote_import=found, actor=actor.user)
        else:
            take_back(vote_import=found, reason=request.POST.get("reason", ""), actor=actor.user)
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    counts = "count again" if "again" in request.POST else "no longer count"
    messages.success(request, f"The votes of “{found}” {counts}; the ranking follows in a few seconds.")
    return redirect("vote_imports", study.slug)


def _page(request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None) -> HttpResponse:
    context = _about(actor, study, refusal) | {
        "imports": study.vote_imports.select_related("created_by"),
        "files": study.vote_files.select_related("asked_by")[:FILES_SHOWN],
        "criteria": study.criteria.all(),
        "longest": VoteImport.LONGEST_NAME,
        "asked": request.POST,
    }
    return render(request, "raters/imports.html", context, status=refusal.status if refusal else 200)


def _about(actor: Actor, study: Study, refusal: Refusal | None) -> dict[str, Any]:
    return {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "section": "imports",
        "refusal": refusal.sentence if refusal else "",
    }
