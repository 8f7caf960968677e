"""The API's way for many small files: one body has them all, and one answer what became of each."""

import uuid

from django.http import HttpRequest, UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiRequest, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import View
from evalhub.problems import TooLarge
from evalhub.schema import example, refused
from evalhub.studies import services
from evalhub.studies.access import Actor, get_submission
from evalhub.studies.api_files import LengthRequired
from evalhub.studies.services import CutOff
from evalhub.studies.services.bundles import MOST_BYTES, MOST_FILES

BYTES = OpenApiExample("Two files", f"{'0a' * 32} 7\n{'0b' * 32} 7\n\ncat.pngdog.png")
TOLD = {
    "files": [
        {"sha256": "0a" * 32, "state": "received", "problem": ""},
        {"sha256": "0b" * 32, "state": "bad", "problem": "dog/0.png does not decode as PNG (it is cut off)."},
    ],
    "submission": "incomplete",
}


class OutcomeSerializer(serializers.Serializer):
    sha256 = serializers.CharField()
    state = serializers.CharField(help_text="received, bad or missing")
    problem = serializers.CharField(
        help_text="A sentence that says why it does not do, or is not wanted; empty where it may just be sent again."
    )


@example(told=TOLD)
class ReceivedFilesSerializer(serializers.Serializer):
    files = OutcomeSerializer(many=True, help_text="What became of each file, in the order of the body.")
    submission = serializers.CharField(help_text="The submission's state: incomplete or complete.")


class FilesView(View):
    rate = "files"
    # The body is read as it comes, by the service; a parser would hold it in memory.
    parser_classes = ()

    @extend_schema(
        operation_id="send_files",
        request={"application/octet-stream": OpenApiRequest(OpenApiTypes.BINARY, examples=[BYTES])},
        responses={200: ReceivedFilesSerializer, **refused(411, 413, 507)},
        description=f"""Send many promised files in one body, which is far quicker for small ones.

The body begins with a line `<sha256> <size>` for each file, at most {MOST_FILES:,}, each ended by a line feed, then an
empty line. The bytes of the files follow in that order, with nothing between them. The body has at most
{MOST_BYTES:,} bytes.

Each file is checked by itself: one that does not do is `bad` in the answer and the others are received. `missing`
without a problem means that the site had no time for it; send it again. What had arrived whole when a connection broke
stays. The last file completes the submission.""",
    )
    def post(self, request: Request, submission_id: uuid.UUID) -> Response:
        """Nothing of the body is read before the request is known to be allowed."""
        submission = get_submission(Actor.of(request), submission_id, "submit")
        plain: HttpRequest = request._request
        length = _length(plain)
        try:
            announced, stream = services.read_table(plain, length)
            outcomes = services.receive_files(submission=submission, announced=announced, stream=stream)
        except UnreadablePostError:
            raise CutOff("The connection broke before all files had arrived; send those still missing.") from None
        return Response(ReceivedFilesSerializer({"files": outcomes, "submission": submission.state}).data)


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        raise LengthRequired("Files are sent with a Content-Length; send them again with the body's size in bytes.")
    if len(length) > 18 or int(length) > MOST_BYTES:
        raise TooLarge(f"The body has {length[:30]} bytes, and at most {MOST_BYTES:,} are taken; send fewer at a time.")
    return int(length)
