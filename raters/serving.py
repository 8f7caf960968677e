"""A copy's bytes over HTTP, whole or in part, under headers that say nothing of where they came from: a file response
would add a name and a time. Videos are asked for in ranges by every browser (RFC 9110, section 14)."""

import re
from collections.abc import Iterator
from contextlib import closing

from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from raters.models import PresentationCopy
from raters.presentation import OUTLINE, TILED, VIDEO, WHOLE, pyramid

# The next pair is fetched ahead of time and shown from the browser's own cache.
SHOWN_FOR_SECONDS = 600
CHUNK = 2**18
TYPES = {WHOLE: "image/webp", TILED: "image/webp", OUTLINE: "image/svg+xml", VIDEO: "video/webm"}
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def serve(request: HttpRequest, copy: PresentationCopy) -> HttpResponseBase:
    """The copy, of one in tiles the overview; of a video the one range of it that was asked for, but all of it for
    several, or of another unit."""
    if copy.is_tiled:
        return _record(copy, 0)
    if copy.policy != VIDEO:
        return _streamed(copy, 0, copy.size)
    headers = {"Accept-Ranges": "bytes"}
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.groups() == ("", ""):
        return _streamed(copy, 0, copy.size, headers)
    first, last = _span(asked[1], asked[2], copy.size)
    if first > last:
        unsatisfied = {**_headers(), **headers, "Content-Range": f"bytes */{copy.size}"}
        return HttpResponse(status=416, headers=unsatisfied)
    headers["Content-Range"] = f"bytes {first}-{last}/{copy.size}"
    return _streamed(copy, first, last - first + 1, headers, 206)


def serve_tile(copy: PresentationCopy, level: int, column: int, row: int) -> HttpResponseBase:
    """One tile of a copy in tiles. Raises: Http404 where there is none."""
    number = pyramid.number((copy.width, copy.height), level, column, row) if copy.is_tiled else None
    if number is None:
        raise Http404
    return _record(copy, number)


def _record(copy: PresentationCopy, number: int) -> HttpResponseBase:
    return _streamed(copy, *pyramid.span(b"".join(_pieces(copy, *pyramid.index_of(number)))))


def _headers() -> dict[str, str]:
    return {"Cache-Control": f"private, max-age={SHOWN_FOR_SECONDS}"}


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and last byte; of “-500”, the last five hundred."""
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    return int(first), min(int(last), size - 1) if last else size - 1


def _streamed(
    copy: PresentationCopy, start: int, length: int, more: dict[str, str] | None = None, status: int = 200
) -> HttpResponseBase:
    """Small answers whole, so that they are sent at once; others piece by piece."""
    headers = {**_headers(), **(more or {})}
    content_type = TYPES[copy.policy]
    if length <= CHUNK:
        content = b"".join(_pieces(copy, start, length))
        return HttpResponse(content, content_type=content_type, status=status, headers=headers)
    headers["Content-Length"] = str(length)
    pieces = _pieces(copy, start, length)
    return StreamingHttpResponse(pieces, content_type=content_type, status=status, headers=headers)


def _pieces(copy: PresentationCopy, start: int, length: int) -> Iterator[bytes]:
    bucket = getattr(default_storage, "bucket", None)
    if bucket is not None:  # opened as a file, an object would be fetched whole for each tile of it
        key = f"{getattr(default_storage, 'location', '')}/{copy.path}".lstrip("/")
        body = bucket.Object(key).get(Range=f"bytes={start}-{start + length - 1}")["Body"]
        with closing(body):
            yield from body.iter_chunks(CHUNK)
        return
    with default_storage.open(copy.path) as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(CHUNK, length))):
            length -= len(piece)
            yield piece
