"""Originals and thumbnails, for members who may see results. A rater's pictures come from elsewhere, without a name."""

from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Media
from evalhub.studies.thumbnails import thumbnail

# The bytes behind one address never change; a shared cache may not have them all the same.
CACHE = "private, max-age=604800, immutable"


@login_required
@require_GET
def media(request: HttpRequest, slug: str, media_id: int) -> HttpResponseBase:
    """One file of a study as it was sent, or, with `?size=small`, a picture of it for a page."""
    study = get_study(Actor.of(request), slug, "see")
    found = get_object_or_404(Media, study=study, pk=media_id)
    response: HttpResponseBase
    if request.GET.get("size") == "small":
        response = HttpResponse(*thumbnail(found))
    else:
        response = FileResponse(
            default_storage.open(found.path),
            content_type=f"{found.kind}/{found.format}",
            filename=f"{found.sha256[:12]}.{found.format}",
        )
    response["Cache-Control"] = CACHE
    return response
