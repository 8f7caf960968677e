"""The leaderboard for programs."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from evalhub.leaderboard import downloads
from evalhub.leaderboard.tables import leaderboard
from evalhub.studies.access import Actor, get_study


class CellSerializer(serializers.Serializer):
    metric = serializers.CharField()
    state = serializers.CharField(help_text="done, waiting_for_weights, failed or none")
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    interval = serializers.CharField()
    fingerprint = serializers.CharField()
    note = serializers.CharField()


class FactsSerializer(serializers.Serializer):
    self_reported = serializers.BooleanField()
    latency_p50 = serializers.FloatField(allow_null=True)
    latency_p95 = serializers.FloatField(allow_null=True)
    price = serializers.FloatField(allow_null=True)
    gpu = serializers.CharField()
    dtype = serializers.CharField()


class RowSerializer(serializers.Serializer):
    checkpoint = serializers.CharField()
    family = serializers.CharField()
    step = serializers.IntegerField(allow_null=True)
    rating = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    rank_low = serializers.IntegerField(allow_null=True)
    rank_high = serializers.IntegerField(allow_null=True)
    comparisons = serializers.IntegerField()
    win_rate = serializers.FloatField(allow_null=True)
    tie_rate = serializers.FloatField(allow_null=True)
    both_bad_rate = serializers.FloatField(allow_null=True)
    scores = CellSerializer(many=True)
    facts = FactsSerializer()
    warnings = serializers.ListField(child=serializers.CharField())


class FitSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    votes = serializers.IntegerField()
    simulated_votes = serializers.IntegerField()
    raters = serializers.IntegerField()
    cut_off = serializers.IntegerField()
    method = serializers.CharField()
    version = serializers.CharField()
    position = serializers.DictField()
    warnings = serializers.ListField(child=serializers.CharField())


class LeaderboardSerializer(serializers.Serializer):
    study = serializers.CharField()
    criterion = serializers.CharField(allow_null=True)
    fit = FitSerializer(allow_null=True)
    votes_waiting_for_a_fit = serializers.IntegerField()
    rows = RowSerializer(many=True)


class LeaderboardView(APIView):
    @extend_schema(
        operation_id="study_leaderboard",
        parameters=[
            OpenApiParameter(
                "criterion",
                str,
                description="A criterion's key; the study's first by default.",
            )
        ],
        responses=LeaderboardSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Ratings by people and scores by machines, best rating first."""
        study = get_study(Actor.of(request), slug, "see")
        asked = request.query_params.get("criterion", "")
        criterion = next((one for one in study.criteria.all() if one.key == asked), None)
        return Response(downloads.as_data(leaderboard(study=study, criterion=criterion)))
