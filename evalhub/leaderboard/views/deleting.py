"""Taking a whole study away, and a copy of it home first. Owners only."""

import tempfile
from pathlib import Path

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from evalhub.celery import enqueue
from evalhub.leaderboard.archive import Owned, delete_study, owned_by, pack, require_name
from evalhub.problems import Refusal, TooLarge
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from evalhub.studies.services.quotas import gigabytes

# So much is packed, or deleted, while a person waits for the page; more is a command's or a worker's.
MOST_PACKED = 2 * 10**9
MOST_VOTES, MOST_FILES = 20_000, 5_000


@login_required
@require_http_methods(["GET", "POST"])
def study_delete(request: HttpRequest, slug: str) -> HttpResponse:
    """What goes with the study; a POST with its short name deletes it, in whatever state it is."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    owned = owned_by(study)
    if request.method == "GET":
        return _page(request, actor, study, owned)
    typed = request.POST.get("slug", "")
    try:
        if owned.votes > MOST_VOTES or owned.files > MOST_FILES:
            require_name(study, typed)
            enqueue("leaderboard.delete_study", str(study.pk), actor.user.pk)
            said = f"“{study.name}” is being deleted. It leaves the list when all of it is gone, in a few minutes."
        else:
            delete_study(study=study, actor=actor.user, slug=typed)
            said = f"“{study.name}” is deleted, with all it owned."
    except Refusal as refusal:
        return _page(request, actor, study, owned, refusal)
    messages.success(request, said)
    return redirect("studies")


@login_required
@require_GET
def study_archive(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The whole study as one file, which `manage.py import_study` reads."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    owned = owned_by(study)
    try:
        if owned.size > MOST_PACKED:
            raise TooLarge(
                f"This study holds {gigabytes(owned.size)}, and a page packs at most {gigabytes(MOST_PACKED)}; "
                f"an operator packs it with “manage.py export_study {study.slug} FILE”."
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "study.tar")
            pack(study=study, path=path, actor=actor.user)
            # The file leaves its folder now, and the disk when it has been sent.
            return FileResponse(path.open("rb"), as_attachment=True, filename=f"{study.slug}.tar")
    except Refusal as refusal:
        return _page(request, actor, study, owned, refusal)


def _page(
    request: HttpRequest, actor: Actor, study: Study, owned: Owned, refusal: Refusal | None = None
) -> HttpResponse:
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "settings",
        "at": "delete",
        "owned": owned,
        "size": gigabytes(owned.size),
        "is_packed_here": owned.size <= MOST_PACKED,
        "most_packed": gigabytes(MOST_PACKED),
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "leaderboard/delete.html", context, status=refusal.status if refusal else 200)
