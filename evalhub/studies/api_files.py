"""The API's way for bytes: what of a submission is missing, how much of a file is here, and the files themselves."""

import re
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import View
from evalhub.pages import Pages
from evalhub.problems import Refusal, TooLarge
from evalhub.schema import refused
from evalhub.studies import services
from evalhub.studies.access import Actor, get_submission
from evalhub.studies.models import EntryState, ManifestEntry, Submission
from evalhub.studies.queries import MissingQuery
from evalhub.studies.serializers import MOST_MISSING, OffsetSerializer, PromisedSerializer, ReceivedSerializer
from evalhub.studies.services import CutOff

PIECE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18})", re.ASCII)
BYTES = OpenApiExample("A file", "the bytes of cat/0.png")


class LengthRequired(Refusal):
    """A body without a length cannot be told from one that was cut off."""

    status = 411


class BadRange(Refusal):
    """A Content-Range that says nothing, or something else than the body."""

    status = 400


@dataclass(frozen=True)
class Piece:
    """Where a body belongs in its file; None as start asks only that the file, all here, be taken."""

    start: int | None
    total: int


class MissingPages(Pages):
    ordering = ("id",)
    page_size = max_page_size = MOST_MISSING


class MissingView(View):
    pagination_class = MissingPages
    queries = {"GET": MissingQuery}

    @extend_schema(operation_id="missing", responses=PromisedSerializer(many=True))
    def get(self, request: Request, submission_id: uuid.UUID) -> Response:
        """What of a submission is still to be sent; files that arrived and did not do are among it."""
        submission = get_submission(Actor.of(request), submission_id, "see")
        outstanding = submission.entries.outstanding().filter(**self.asked).only("path", "sha256", "size")
        return self.page(outstanding, PromisedSerializer, here=services.part_sizes(submission))


class FileView(View):
    rate = "files"
    # The body is read as it comes, by the service; a parser would hold it in memory.
    parser_classes = ()

    @extend_schema(operation_id="file_offset", responses={200: OffsetSerializer, **refused(409)})
    def get(self, request: Request, submission_id: uuid.UUID, sha256: str) -> Response:
        """How many bytes of a promised file are here; HEAD says the same in the header `Upload-Offset`."""
        submission = get_submission(Actor.of(request), submission_id, "submit")
        here, entries = services.offset(submission=submission, sha256=sha256)
        return _offset(here, entries[0].size)

    @extend_schema(
        operation_id="send_file",
        parameters=[
            OpenApiParameter(
                "Content-Range",
                str,
                OpenApiParameter.HEADER,
                description="`bytes FIRST-LAST/SIZE`, for a file that comes in pieces, one after the other: FIRST is "
                "the number of bytes that are here. `bytes */SIZE`, with no body, has a file taken whose bytes are all "
                "here.",
                pattern=PIECE.pattern,
            )
        ],
        request={"application/octet-stream": OpenApiRequest(OpenApiTypes.BINARY, examples=[BYTES])},
        responses={
            200: ReceivedSerializer,
            202: OffsetSerializer,
            **refused(400, 409, 410, 411, 413, 422, 507),
        },
    )
    def put(self, request: Request, submission_id: uuid.UUID, sha256: str) -> Response:
        """Send one promised file, whole or the next piece of it. The last one completes the submission.

        Nothing of the body is read before the request is known to be allowed.
        """
        submission = get_submission(Actor.of(request), submission_id, "submit")
        plain: HttpRequest = request._request
        length = _length(plain)
        piece = _piece(plain, length)
        try:
            if piece is None:
                entries = services.receive_file(submission=submission, sha256=sha256, stream=plain)
                return _received(submission, entries)
            return _receive_piece(submission, sha256, plain, piece, length)
        except UnreadablePostError:
            raise CutOff("The connection broke before the whole body had arrived; send it again.") from None


def _receive_piece(submission: Submission, sha256: str, request: HttpRequest, piece: Piece, length: int) -> Response:
    size = services.promised(submission, sha256)[0].size
    if piece.total != size:
        raise Refusal(
            f"The Content-Range speaks of a file of {piece.total:,} bytes, and the manifest promises {size:,}; "
            "post the manifest again."
        )
    start = size if piece.start is None else piece.start
    here, entries = services.receive_piece(
        submission=submission, sha256=sha256, stream=request, start=start, length=length
    )
    return _received(submission, entries) if entries else _offset(here, size, status.HTTP_202_ACCEPTED)


def _received(submission: Submission, entries: list[ManifestEntry]) -> Response:
    problems = [entry.problem for entry in entries if entry.state == EntryState.BAD]
    if problems:
        raise Refusal(" ".join(problems), problems=problems)
    return Response(ReceivedSerializer({"entries": entries, "submission": submission.state}).data)


def _offset(here: int, size: int, code: int = status.HTTP_200_OK) -> Response:
    told = OffsetSerializer({"offset": here, "size": size}).data
    return Response(told, status=code, headers={"Upload-Offset": str(here)})


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        raise LengthRequired("A file is sent with a Content-Length; send it again with its size in bytes.")
    if len(length) > 18 or int(length) > settings.MAX_FILE_BYTES:
        raise TooLarge(f"The body has {length[:30]} bytes, and at most {settings.MAX_FILE_BYTES:,} are taken.")
    return int(length)


def _piece(request: HttpRequest, length: int) -> Piece | None:
    """What the Content-Range says. Raises: BadRange when it is none, or does not fit the body's length."""
    said = request.headers.get("Content-Range")
    if said is None:
        return None
    found = PIECE.fullmatch(said)
    if found is None:
        raise BadRange(f"A Content-Range says `bytes FIRST-LAST/SIZE` or `bytes */SIZE`, and got “{said[:100]}”.")
    first, last, total = (None if group is None else int(group) for group in found.groups())
    assert total is not None
    if first is None or last is None:
        if length:
            raise BadRange("`bytes */SIZE` comes with no body; say which bytes of the file the body is.")
        return Piece(None, total)
    if not first <= last < total or last - first + 1 != length:
        raise BadRange(
            f"The Content-Range {said} speaks of {max(0, last - first + 1):,} bytes within {total:,}, and the body has "
            f"{length:,}."
        )
    return Piece(first, total)
