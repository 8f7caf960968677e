"""Importing votes, for programs: the same services and the same sentences as the page. For owners.

A file is kept and answered with 202 and where to ask; a worker looks at it or adds it."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Body, Query, View
from evalhub.pages import Pages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from raters.models import VoteFile, VoteFileState, VoteImport
from raters.services.import_progress import progress_of
from raters.services.importing import put_back, take_back
from raters.services.vote_uploads import add_vote_file, cancel_vote_file, receive_vote_file

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
FILE: dict[str, Any] = {
    "id": ID,
    "name": "Pilot",
    "state": "added",
    "error": "",
    "progress": None,
    "report": REPORT,
    "leave_out": True,
    "sha256": "9f86" * 16,
    "size": 412_000,
    "created_at": WHEN,
    "ended_at": WHEN,
    "address": f"https://evalhub.example.org/api/v1/studies/faces/vote-imports/files/{ID}/",
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
    reason = serializers.CharField()
    lines = serializers.IntegerField()
    named = serializers.ListField(child=serializers.CharField(), help_text="A sentence on each of the first.")


class VoteReportSerializer(serializers.Serializer):
    """What a file comes to."""

    lines = serializers.IntegerField()
    votes = serializers.IntegerField(help_text="Lines that are votes to import, or were imported.")
    raters = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Lines that say what is here already.")
    left_out = serializers.IntegerField(help_text="Lines that cannot be placed.")
    refused = RefusedSerializer(many=True)


class FarSerializer(serializers.Serializer):
    """How far a worker is."""

    stage = serializers.CharField()
    done = serializers.IntegerField(help_text="Lines, in this stage.")
    total = serializers.IntegerField(help_text="While the file is being read, about so many.")
    share = serializers.FloatField(help_text="Of the whole, from 0 to 1.")
    rate = serializers.FloatField(allow_null=True, help_text="Lines a second, in this stage.")
    remaining = serializers.FloatField(allow_null=True, help_text="Seconds to the end of the whole, about.")


@example(told=FILE)
class VoteFileSerializer(serializers.ModelSerializer):
    """A file of votes on its way in. It ends as `added`, `refused` or `cancelled`, and nothing of the last two came in;
    one that was only to be looked at waits as `ready`."""

    state = serializers.ChoiceField(choices=VoteFileState.choices)
    error = serializers.CharField(help_text="Why it was refused.")
    progress = serializers.SerializerMethodField(help_text="While a worker is at it.")
    report = serializers.SerializerMethodField(help_text="Once it was looked at, or added.")
    address = serializers.SerializerMethodField(help_text="Where to ask how far it is.")

    class Meta:
        model = VoteFile
        fields = (
            *("id", "name", "state", "error", "progress", "report", "leave_out", "sha256", "size", "created_at"),
            *("ended_at", "address"),
        )

    @extend_schema_field(FarSerializer(allow_null=True))
    def get_progress(self, vote_file: VoteFile) -> dict[str, Any] | None:
        far = progress_of(vote_file) if vote_file.is_in_work else None
        return FarSerializer(far).data if far else None

    @extend_schema_field(VoteReportSerializer(allow_null=True))
    def get_report(self, vote_file: VoteFile) -> dict[str, Any] | None:
        return vote_file.report or None

    def get_address(self, vote_file: VoteFile) -> str:
        where = {"slug": vote_file.study.slug, "file_id": vote_file.pk}
        return settings.SITE_URL + reverse("v1:vote_file", kwargs=where)


@example(
    asked={"file": "left,right,outcome,rater,prompt\n…", "name": "Pilot", "leave_out": True},
    media_type="multipart/form-data",
)
class NewVoteFileSerializer(Body):
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


@example(asked={"leave_out": True})
class AddingSerializer(Body):
    leave_out = serializers.BooleanField(default=False, help_text="Whether lines without a place are passed over.")


class VoteFileQuery(Query):
    state = serializers.ChoiceField(choices=VoteFileState.choices, required=False)


class VoteImportQuery(Query):
    taken_back = serializers.BooleanField(required=False, help_text="Whether their votes no longer count.")


class VoteImportPages(Pages):
    ordering = ("-created_at",)


class VoteImportsView(View):
    parser_classes = (MultiPartParser,)
    pagination_class = VoteImportPages
    queries = {"GET": VoteImportQuery}

    @extend_schema(operation_id="vote_imports", responses=VoteImportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """What was imported, the newest first."""
        found = get_study(Actor.of(request), slug, "manage").vote_imports.all()
        if "taken_back" in self.asked:
            found = found.filter(taken_back_at__isnull=not self.asked["taken_back"])
        return self.page(found, VoteImportSerializer)

    @extend_schema(
        operation_id="import_votes",
        request={"multipart/form-data": NewVoteFileSerializer},
        responses={202: VoteFileSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have votes imported that were cast elsewhere; the same file again adds only what it has more. The answer's
        `address` tells how far it is and what came of it: all of the file comes in, or nothing."""
        actor = Actor.of(request)
        study = get_study(actor, slug, "manage")
        asked = NewVoteFileSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = dict(asked.validated_data)
        only_look = given.pop("dry_run")
        return _accepted(receive_vote_file(study=study, actor=actor.user, only_look=only_look, **given))


class VoteFilesView(View):
    pagination_class = VoteImportPages
    queries = {"GET": VoteFileQuery}

    @extend_schema(operation_id="vote_files", responses=VoteFileSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Files of votes and what became of them, the newest first."""
        found = get_study(Actor.of(request), slug, "manage").vote_files.select_related("study")
        if "state" in self.asked:
            found = found.filter(state=self.asked["state"])
        return self.page(found, VoteFileSerializer)


class VoteFileView(View):
    @extend_schema(operation_id="vote_file", responses=VoteFileSerializer)
    def get(self, request: Request, slug: str, file_id: UUID) -> Response:
        """One file of votes: how far a worker is with it, or what became of it."""
        found = _file(Actor.of(request), slug, file_id)
        return Response(VoteFileSerializer(found).data)


class AddingView(View):
    @extend_schema(
        operation_id="add_vote_file", request=AddingSerializer, responses={202: VoteFileSerializer, **refused(409)}
    )
    def post(self, request: Request, slug: str, file_id: UUID) -> Response:
        """Have a file added that was looked at (`dry_run`)."""
        actor = Actor.of(request)
        found = _file(actor, slug, file_id)
        asked = AddingSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return _accepted(add_vote_file(vote_file=found, actor=actor.user, **asked.validated_data))


class CancellingView(View):
    @extend_schema(operation_id="cancel_vote_file", request=None, responses={200: VoteFileSerializer, **refused(409)})
    def post(self, request: Request, slug: str, file_id: UUID) -> Response:
        """Have nothing of a file come in."""
        found = cancel_vote_file(vote_file=_file(Actor.of(request), slug, file_id))
        return Response(VoteFileSerializer(found).data)


def _file(actor: Actor, slug: str, file_id: UUID) -> VoteFile:
    study = get_study(actor, slug, "manage")
    return get_object_or_404(VoteFile.objects.select_related("study"), study=study, pk=file_id)


def _accepted(found: VoteFile) -> Response:
    told = VoteFileSerializer(found).data
    return Response(told, status=status.HTTP_202_ACCEPTED, headers={"Location": told["address"]})


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
