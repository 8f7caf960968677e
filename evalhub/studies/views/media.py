"""Originals and thumbnails, for members who may see results. A rater's pictures come from elsewhere, without a name."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from evalhub.studies import pieces
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Media
from evalhub.studies.thumbnails import thumbnail

# The bytes behind one address never change; a shared cache may not have them all the same.
CACHE = "private, max-age=604800, immutable"
# Where the type is not called as the format is. Browsers play what Matroska holds, whatever they are told of it.
TYPES = {"mkv": "video/x-matroska", "mov": "video/quicktime", "avi": "video/x-msvideo"}


@login_required
@require_GET
def media(request: HttpRequest, slug: str, media_id: int) -> HttpResponseBase:
    """One file of a study as it was sent, or, with `?size=small`, a picture of it for a page."""
    study = get_study(Actor.of(request), slug, "see")
    found = get_object_or_404(Media, study=study, pk=media_id)
    if request.GET.get("size") == "small":
        content, content_type = thumbnail(found)
        return HttpResponse(content, content_type=content_type, headers={"Cache-Control": CACHE})
    name = f"{found.sha256[:12]}.{found.format}"
    headers = {"Cache-Control": CACHE, "Content-Disposition": f'inline; filename="{name}"'}
    content_type = TYPES.get(found.format, f"{found.kind}/{found.format}")
    return pieces.in_ranges(request, found.path, found.size, content_type, headers)
