"""Near-duplicates for programs: a search is asked for, followed, and its pairs read."""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Query, View
from evalhub.pages import Pages
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_submission
from metrics import services
from metrics.models import DuplicateSearch, NearDuplicate, SearchState

FACTS: dict[str, Any] = {
    "state": "done",
    "error": "",
    "done_share": 1.0,
    "column": "inception",
    "fingerprint": "5f0c" * 16,
    "threshold": 0.85,
    "outputs": 5000,
    "without": 0,
    "references": 5000,
    "pairs_within": 41,
    "near_within": 57,
    "pairs_references": 2,
    "near_references": 2,
    "seconds": 3.1,
    "asked_at": "2026-05-31T12:00:00Z",
}
PAIR: dict[str, Any] = {
    "similarity": 0.97,
    "prompt": "cat",
    "seed": 0,
    "sha256": "9f86" * 16,
    "other_prompt": "dog",
    "other_seed": 0,
    "other_sha256": "2c26" * 16,
}


@example(told=FACTS)
class DuplicateSearchSerializer(serializers.Serializer):
    """A search by stored features: similarity is their cosine, 1 for the same picture. It is no proof of a copy."""

    state = serializers.ChoiceField(choices=SearchState.choices)
    error = serializers.CharField()
    done_share = serializers.FloatField()
    column = serializers.CharField(help_text="Whose features were compared.")
    fingerprint = serializers.CharField()
    threshold = serializers.FloatField(allow_null=True, help_text="Cosine from which a pair is near.")
    outputs = serializers.IntegerField(help_text="Different files that were compared.")
    without = serializers.IntegerField(help_text="Different files without stored features.")
    references = serializers.IntegerField()
    pairs_within = serializers.IntegerField(help_text="Near pairs of two outputs.")
    near_within = serializers.IntegerField(help_text="Outputs in any of these.")
    pairs_references = serializers.IntegerField(help_text="Near pairs with a reference that the prompt did not give.")
    near_references = serializers.IntegerField(help_text="Outputs in any of these.")
    seconds = serializers.FloatField()
    asked_at = serializers.DateTimeField()


@example(told=PAIR)
class NearDuplicateSerializer(serializers.Serializer):
    """An output, and another one or a reference; of a reference there are only its bytes' hash."""

    similarity = serializers.FloatField()
    prompt = serializers.CharField(source="sample.prompt.key")
    seed = serializers.IntegerField(source="sample.seed")
    sha256 = serializers.CharField(source="sample.media.sha256")
    other_prompt = serializers.CharField(source="other.prompt.key", default=None, allow_null=True)
    other_seed = serializers.IntegerField(source="other.seed", default=None, allow_null=True)
    other_sha256 = serializers.SerializerMethodField()

    def get_other_sha256(self, pair: NearDuplicate) -> str:
        media = pair.other.media if pair.other else pair.reference
        return media.sha256 if media else ""


class PairQuery(Query):
    of = serializers.ChoiceField(
        choices=["outputs", "references"], default="outputs", help_text="Two outputs, or an output and a reference."
    )


class PairPages(Pages):
    ordering = ("-similarity", "id")


class DuplicatesView(View):
    @extend_schema(operation_id="duplicates", responses=DuplicateSearchSerializer)
    def get(self, request: Request, submission_id: UUID) -> Response:
        """The newest search of a submission for near-duplicates: how far it is, and what it counted."""
        submission = get_submission(Actor.of(request), submission_id, "see")
        return Response(DuplicateSearchSerializer(get_object_or_404(DuplicateSearch, submission=submission)).data)

    @extend_schema(
        operation_id="find_duplicates", request=None, responses={202: DuplicateSearchSerializer, **refused(409)}
    )
    def post(self, request: Request, submission_id: UUID) -> Response:
        """Search a submission for near-duplicates by its stored features, anew where it was searched before."""
        actor = Actor.of(request)
        submission = get_submission(actor, submission_id, "submit")
        search = services.ask_for_duplicates(submission=submission, actor=actor.user)
        return Response(DuplicateSearchSerializer(search).data, status=status.HTTP_202_ACCEPTED)


class DuplicatePairsView(View):
    pagination_class = PairPages
    queries = {"GET": PairQuery}

    @extend_schema(operation_id="duplicate_pairs", responses=NearDuplicateSerializer(many=True))
    def get(self, request: Request, submission_id: UUID) -> Response:
        """The pairs that the newest finished search found, the most similar first."""
        submission = get_submission(Actor.of(request), submission_id, "see")
        found = NearDuplicate.objects.of(self.asked["of"]).filter(search__submission=submission)
        return self.page(found.with_pictures(), NearDuplicateSerializer)
