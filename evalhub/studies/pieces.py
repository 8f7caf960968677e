"""Stored files over HTTP, whole or in part: every browser asks for a video in ranges (RFC 9110, section 14)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing

from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

CHUNK = 2**18
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def in_ranges(
    request: HttpRequest, path: str, size: int, content_type: str, headers: Mapping[str, str]
) -> HttpResponseBase:
    """The one range of the file that was asked for; all of it for several, or of another unit.

    Args: path, size: the file's address in storage, and its bytes; headers: what every answer carries.
    """
    headers = {**headers, "Accept-Ranges": "bytes"}
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.groups() == ("", ""):
        return span(path, 0, size, content_type, headers)
    first, last = _bounds(asked[1], asked[2], size)
    if first > last:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return span(path, first, last - first + 1, content_type, headers, status=206)


def span(
    path: str, start: int, length: int, content_type: str, headers: Mapping[str, str], *, status: int = 200
) -> HttpResponseBase:
    """So many bytes of a file: few at once, many piece by piece."""
    if length <= CHUNK:
        content = b"".join(pieces(path, start, length))
        return HttpResponse(content, content_type=content_type, status=status, headers=headers)
    streamed = pieces(path, start, length)
    headers = {**headers, "Content-Length": str(length)}
    return StreamingHttpResponse(streamed, content_type=content_type, status=status, headers=headers)


def pieces(path: str, start: int, length: int) -> Iterator[bytes]:
    """So many bytes of a file in storage, a little at a time."""
    bucket = getattr(default_storage, "bucket", None)
    if bucket is not None:  # opened as a file, an object would be fetched whole for each part of it
        key = f"{getattr(default_storage, 'location', '')}/{path}".lstrip("/")
        with closing(bucket.Object(key).get(Range=f"bytes={start}-{start + length - 1}")["Body"]) as body:
            yield from body.iter_chunks(CHUNK)
        return
    with default_storage.open(path) as file:
        file.seek(start)
        while length > 0 and (piece := file.read(min(CHUNK, length))):
            length -= len(piece)
            yield piece


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and last byte; of “-500”, the last five hundred."""
    if not first:
        return max(0, size - int(last)), size - 1 if int(last) else -1
    return int(first), min(int(last), size - 1) if last else size - 1
