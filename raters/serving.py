"""A copy's bytes over HTTP, whole or in part, under headers that say nothing of where they came from: a file response
would add a name and a time. Videos are asked for in ranges by every browser (RFC 9110, section 14)."""

import re
from collections.abc import Iterator

from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from evalhub.studies.models import MediaKind
from raters.models import PresentationCopy

# The next pair is fetched ahead of time and shown from the browser's own cache.
SHOWN_FOR_SECONDS = 600
CHUNK = 2**18
TYPES = {MediaKind.IMAGE: "image/webp", MediaKind.VIDEO: "video/webm"}
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def serve(request: HttpRequest, copy: PresentationCopy) -> HttpResponseBase:
    """The copy; of a video the one range of it that was asked for, but all of it for several, or of another unit."""
    headers = {"Cache-Control": f"private, max-age={SHOWN_FOR_SECONDS}"}
    content_type = TYPES[MediaKind(copy.media.kind)]
    if copy.media.kind == MediaKind.IMAGE:
        return _streamed(copy, 0, copy.size, 200, content_type, headers)
    headers["Accept-Ranges"] = "bytes"
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.groups() == ("", ""):
        return _streamed(copy, 0, copy.size, 200, content_type, headers)
    first, last = _span(asked[1], asked[2], copy.size)
    if first > last:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{copy.size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{copy.size}"
    return _streamed(copy, first, last - first + 1, 206, content_type, headers)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and last byte; of “-500”, the last five hundred."""
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    return int(first), min(int(last), size - 1) if last else size - 1


def _streamed(
    copy: PresentationCopy, start: int, length: int, status: int, content_type: str, headers: dict[str, str]
) -> HttpResponseBase:
    """Small answers whole, so that they are sent at once; others piece by piece."""
    if length <= CHUNK:
        content = b"".join(_pieces(copy, start, length))
        return HttpResponse(content, content_type=content_type, status=status, headers=headers)
    pieces = _pieces(copy, start, length)
    headers["Content-Length"] = str(length)
    return StreamingHttpResponse(pieces, content_type=content_type, status=status, headers=headers)


def _pieces(copy: PresentationCopy, start: int, length: int) -> Iterator[bytes]:
    with default_storage.open(copy.path) as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(CHUNK, length))):
            length -= len(piece)
            yield piece
