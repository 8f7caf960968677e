"""A copy's bytes over HTTP, whole or in part, under headers that say nothing of where they came from: a file response
would add a name and a time."""

from django.http import Http404, HttpRequest, HttpResponseBase

from evalhub.studies import pieces
from raters.models import PresentationCopy
from raters.presentation import OUTLINE, TILED, VIDEO, WHOLE, pyramid

# The next pair is fetched ahead of time and shown from the browser's own cache.
SHOWN_FOR_SECONDS = 600
HEADERS = {"Cache-Control": f"private, max-age={SHOWN_FOR_SECONDS}"}
TYPES = {WHOLE: "image/webp", TILED: "image/webp", OUTLINE: "image/svg+xml", VIDEO: "video/webm"}


def serve(request: HttpRequest, copy: PresentationCopy) -> HttpResponseBase:
    """The copy, of one in tiles the overview; of a video the range of it that was asked for."""
    if copy.is_tiled:
        return _record(copy, 0)
    if copy.policy == VIDEO:
        return pieces.in_ranges(request, copy.path, copy.size, TYPES[VIDEO], HEADERS)
    return _part(copy, 0, copy.size)


def serve_tile(copy: PresentationCopy, level: int, column: int, row: int) -> HttpResponseBase:
    """One tile of a copy in tiles. Raises: Http404 where there is none."""
    number = pyramid.number((copy.width, copy.height), level, column, row) if copy.is_tiled else None
    if number is None:
        raise Http404
    return _record(copy, number)


def _record(copy: PresentationCopy, number: int) -> HttpResponseBase:
    place = b"".join(pieces.pieces(copy.path, *pyramid.index_of(number)))
    return _part(copy, *pyramid.span(place))


def _part(copy: PresentationCopy, start: int, length: int) -> HttpResponseBase:
    return pieces.span(copy.path, start, length, TYPES[copy.policy], HEADERS)
