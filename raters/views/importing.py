"""Votes that were cast elsewhere: an owner chooses a file, looks at what it comes to, imports it, or takes it back."""

import re
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from evalhub.problems import Conflict, Refusal, TooLarge
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from raters.models import VoteImport
from raters.services.importing import Report, digest_of, import_votes, look_at_votes, put_back, take_back

MOST_BYTES = 64 * 2**20  # a web process is at it for a minute
GONE = "The file is not here any more, for another was chosen meanwhile; choose it again."


@login_required
@require_http_methods(["GET", "POST"])
def vote_imports(request: HttpRequest, slug: str) -> HttpResponse:
    """What came in by now. A POST with a file shows what it would come to; one that names it imports it."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _page(request, actor, study)
    asked = {name: request.POST.get(name, "") for name in ("name", "criterion")}
    try:
        if "sha256" not in request.POST:
            digest = _kept(study, request.FILES.get("file"))
            with default_storage.open(_path(study, digest)) as file:
                report = look_at_votes(study=study, file=file, **asked)
            return _page(request, actor, study, report=report, sha256=digest)
        path = _path(study, request.POST["sha256"])
        if not default_storage.exists(path):
            raise Conflict(GONE)
        with default_storage.open(path) as file:
            report = import_votes(study=study, file=file, actor=actor.user, leave_out=True, **asked)
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    default_storage.delete(path)
    messages.success(request, f"{report.votes:,} votes were imported; the ranking follows in a few seconds.")
    return redirect("vote_imports", study.slug)


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


def _folder(study: Study) -> str:
    return f"studies/{study.pk}/imports"


def _path(study: Study, digest: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise Conflict(GONE)
    return f"{_folder(study)}/{digest}.csv"


def _kept(study: Study, file: UploadedFile | None) -> str:
    """Keep a file until it is imported or another is looked at; the hash that names it."""
    if file is None:
        raise Refusal("No file came; choose a CSV file of votes.")
    if (file.size or 0) > MOST_BYTES:
        raise TooLarge(
            f"{file.name} has {file.size:,} bytes, and this page takes {MOST_BYTES:,}; an operator imports it with "
            "manage.py import_votes."
        )
    digest = digest_of(file)
    try:
        waiting = default_storage.listdir(_folder(study))[1]
    except FileNotFoundError:
        waiting = []
    for name in waiting:
        default_storage.delete(f"{_folder(study)}/{name}")
    default_storage.save(_path(study, digest), file)
    return digest


def _page(
    request: HttpRequest,
    actor: Actor,
    study: Study,
    refusal: Refusal | None = None,
    *,
    report: Report | None = None,
    sha256: str = "",
) -> HttpResponse:
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "section": "imports",
        "imports": study.vote_imports.select_related("created_by"),
        "criteria": study.criteria.all(),
        "longest": VoteImport.LONGEST_NAME,
        "asked": request.POST,
        "report": report,
        "sha256": sha256,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/imports.html", context, status=refusal.status if refusal else 200)
