"""Importing votes, for programs: the same services and the same sentences as the page. For owners."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, View
from evalhub.pages import Pages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from raters.models import VoteImport
from raters.services.importing import import_votes, look_at_votes, put_back, take_back

ID, WHEN = "0198c5d2-4444-4c1e-9b60-3d1f6e0a2b11", "2026-05-31T12:00:00Z"
IMPORT: dict[str, Any] = {
    "id": ID,
    "name": "Pilot",
    "group": "imported: Pilot",
    "votes": 5200,
    "refused": 12,
    "created_at": WHEN,
    "taken_back_at": None,
    "taken_back_because": "",
}
REPORT: dict[str, Any] = {
    "lines": 5212,
    "votes": 5200,
    "raters": 24,
    "known": 0,
    "left_out": 12,
    "refused": [
        {
            "reason": "Prompts that the study does not have",
            "lines": 12,
            "named": ["Line 7: The study has no prompt “p9”; a prompt is named by its key."],
        }
    ],
}


@example(told=IMPORT)
class VoteImportSerializer(serializers.Serializer):
    """Votes that were cast elsewhere and came in under one name."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    group = serializers.CharField(help_text="Of its raters; rankings can be cut by it.")
    votes = serializers.IntegerField()
    refused = serializers.IntegerField(help_text="Lines of its newest file that were left out.")
    created_at = serializers.DateTimeField()
    taken_back_at = serializers.DateTimeField(allow_null=True)
    taken_back_because = serializers.CharField()


class RefusedSerializer(serializers.Serializer):
    reason = serializers.CharField(source="title")
    lines = serializers.IntegerField()
    named = serializers.ListField(
        source="sentences", child=serializers.CharField(), help_text="A sentence on each of the first."
    )


@example(told=REPORT)
class VoteReportSerializer(serializers.Serializer):
    """What a file comes to."""

    lines = serializers.IntegerField()
    votes = serializers.IntegerField(help_text="Lines that are votes to import, or were imported.")
    raters = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Lines that say what is here already.")
    left_out = serializers.IntegerField(help_text="Lines that cannot be placed.")
    refused = RefusedSerializer(many=True)


@example(
    asked={"file": "left,right,outcome,rater,prompt\n…", "name": "Pilot", "leave_out": True},
    media_type="multipart/form-data",
)
class VoteFileSerializer(Body):
    """A CSV file with the columns left, right, outcome and prompt; or an export's votes.csv."""

    file = serializers.FileField(allow_empty_file=True)
    name = serializers.CharField(max_length=VoteImport.LONGEST_NAME)
    criterion = serializers.CharField(
        max_length=32, default="", allow_blank=True, help_text="Which question it answers, where it does not say so."
    )
    leave_out = serializers.BooleanField(default=False, help_text="Whether lines without a place are passed over.")
    dry_run = serializers.BooleanField(default=False, help_text="Only say what it would come to.")


@example(asked={"reason": "Cast on other outputs."})
class TakingBackSerializer(Body):
    reason = serializers.CharField(
        allow_blank=True, max_length=500, help_text="Why its votes no longer count; empty has them count again."
    )


class VoteImportPages(Pages):
    ordering = ("-created_at",)


class VoteImportsView(View):
    parser_classes = (MultiPartParser,)
    pagination_class = VoteImportPages

    @extend_schema(operation_id="vote_imports", responses=VoteImportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What was imported, the newest first."""
        return self.page(get_study(Actor.of(request), slug, "manage").vote_imports.all(), VoteImportSerializer)

    @extend_schema(
        operation_id="import_votes",
        request={"multipart/form-data": VoteFileSerializer},
        responses={200: VoteReportSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Import votes that were cast elsewhere; the same file again adds only what it has more."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = VoteFileSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = dict(asked.validated_data)
        leave_out = given.pop("leave_out")
        if given.pop("dry_run"):
            report = look_at_votes(study=study, **given)
        else:
            report = import_votes(study=study, actor=actor.user, leave_out=leave_out, **given)
        return Response(VoteReportSerializer(report).data)


class TakingBackView(View):
    @extend_schema(
        operation_id="take_import_back",
        request=TakingBackSerializer,
        responses={200: VoteImportSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str, import_id: UUID) -> Response:
        """Have the votes of an import count no more, for a reason, or count again. It is logged."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        found = get_object_or_404(VoteImport, study=study, pk=import_id)
        asked = TakingBackSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if reason := asked.validated_data["reason"]:
            changed = take_back(vote_import=found, reason=reason, actor=actor.user)
        else:
            changed = put_back(vote_import=found, actor=actor.user)
        return Response(VoteImportSerializer(changed).data)
