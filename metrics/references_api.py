"""References for programs: pictures are sent one by one, and then a set is made of them. For owners."""

from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiRequest, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Text, View
from evalhub.pages import Pages
from evalhub.problems import Refusal, TooLarge
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from evalhub.studies.api_files import LengthRequired
from evalhub.studies.services import CutOff
from metrics.models import Reference
from metrics.services.importing import LONGEST_LICENCE, MOST_IMAGES, make_reference, receive_reference_image

SHA256 = "^[0-9a-f]{64}$"
BYTES = OpenApiExample("A picture", "the bytes of cat.png")
REFERENCE: dict[str, Any] = {
    "name": "Real faces",
    "licence": "CC BY 4.0",
    "images": 5000,
    "created_at": "2026-05-31T12:00:00Z",
}


@example(told=REFERENCE)
class ReferenceSerializer(serializers.Serializer):
    """A set of real pictures that never changes; runs compare with the newest one that was imported."""

    name = serializers.CharField()
    licence = serializers.CharField()
    images = serializers.IntegerField(source="size", help_text="How many pictures it has.")
    created_at = serializers.DateTimeField()


@example(asked={"name": "Real faces", "licence": "CC BY 4.0", "images": ["0a" * 32, "0b" * 32]})
class NewReferenceSerializer(Body):
    name = serializers.CharField(max_length=120)
    licence = serializers.CharField(max_length=LONGEST_LICENCE, default="", allow_blank=True)
    images = serializers.ListField(
        child=Text(pattern=SHA256, min_length=64, max_length=64),
        max_length=MOST_IMAGES,
        help_text="SHA-256 of each picture in lower-case hex, in the set's order.",
    )


@example(told={"sha256": "0a" * 32, "width": 512, "height": 512, "format": "png"})
class ReferenceImageSerializer(serializers.Serializer):
    sha256 = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    format = serializers.CharField()


class ReferencePages(Pages):
    ordering = ("-created_at",)


class ReferencesView(View):
    pagination_class = ReferencePages

    @extend_schema(operation_id="references", responses=ReferenceSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The study's reference sets, the newest first."""
        found = Reference.objects.filter(study=get_study(Actor.of(request), slug, "see"))
        return self.page(found.annotate(size=Count("images")), ReferenceSerializer)

    @extend_schema(
        operation_id="make_reference",
        request=NewReferenceSerializer,
        responses={200: ReferenceSerializer, 201: ReferenceSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a reference set of pictures that were sent, which runs that start from now on compare with. While some
        are not here, the answer is 409 and names up to 10,000 of them in `missing`. The very same set again is 200."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = NewReferenceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reference, is_new = make_reference(study=study, actor=actor.user, **asked.validated_data)
        told = ReferenceSerializer(Reference.objects.annotate(size=Count("images")).get(pk=reference.pk)).data
        return Response(told, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class ReferenceImageView(View):
    rate = "files"
    # The body is read as it comes, by the service; a parser would hold it in memory.
    parser_classes = ()

    @extend_schema(
        operation_id="send_reference_image",
        request={"application/octet-stream": OpenApiRequest(OpenApiTypes.BINARY, examples=[BYTES])},
        responses={200: ReferenceImageSerializer, **refused(411, 413, 422, 507)},
    )
    def put(self, request: Request, slug: str, sha256: str) -> Response:
        """Send one picture, by its hash, for a reference set that is to be made; one that is here is not read."""
        study = get_study(Actor.of(request), slug, "manage")
        plain: HttpRequest = request._request
        length = _length(plain)
        try:
            media = receive_reference_image(study=study, sha256=sha256, stream=plain, length=length)
        except UnreadablePostError:
            raise CutOff("The connection broke before the whole picture had arrived; send it again.") from None
        return Response(ReferenceImageSerializer(media).data)


def _length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        raise LengthRequired("A picture is sent with a Content-Length; send it again with its size in bytes.")
    if len(length) > 18 or int(length) > settings.MAX_FILE_BYTES:
        raise TooLarge(f"The body has {length[:30]} bytes, and at most {settings.MAX_FILE_BYTES:,} are taken.")
    if not int(length):
        raise Refusal("The body is empty; send the picture's bytes.")
    return int(length)
