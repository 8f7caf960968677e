"""The leaderboard for programs."""

from django.core.exceptions import PermissionDenied
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Query, Text, View
from evalhub.leaderboard import downloads, examples
from evalhub.leaderboard.curves import curves
from evalhub.leaderboard.matrix import head_to_head
from evalhub.leaderboard.measures import measure, measures
from evalhub.leaderboard.questions import POOLED, WITHHELD, Question, ask
from evalhub.pages import CountedPages
from evalhub.problems import Refusal
from evalhub.schema import example, refused
from evalhub.studies.access import Actor, get_study
from raters import services


class CellSerializer(serializers.Serializer):
    metric = serializers.CharField()
    column = serializers.CharField(help_text="Its column's name in the sheets: the metric and its protocol.")
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
    withdrawn = serializers.BooleanField()
    rating = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    rank_low = serializers.IntegerField(allow_null=True)
    rank_high = serializers.IntegerField(allow_null=True)
    comparisons = serializers.IntegerField()
    win_rate = serializers.FloatField(allow_null=True)
    tie_rate = serializers.FloatField(allow_null=True)
    both_bad_rate = serializers.FloatField(allow_null=True)
    separated_from_next = serializers.BooleanField(
        allow_null=True, help_text="From the next one below, at whatever time one looks; null for the last."
    )
    more_votes_to_separate = serializers.IntegerField(
        allow_null=True, help_text="About so many more between the two; null where no number would."
    )
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
    seed = serializers.IntegerField()
    slice = serializers.DictField(help_text="Which votes, and how; empty for the study's own ranking.")
    settings = serializers.DictField()
    position = serializers.DictField()
    covariates = serializers.DictField()
    agreement = serializers.DictField(help_text="Krippendorff's alpha with its interval.")
    separations = serializers.ListField(child=serializers.DictField())
    verdicts = serializers.ListField(child=serializers.DictField())
    warnings = serializers.ListField(child=serializers.CharField())


@example(told=examples.LEADERBOARD)
class LeaderboardSerializer(serializers.Serializer):
    study = serializers.CharField()
    criterion = serializers.CharField(allow_null=True, help_text="Null: all criteria pooled.")
    fit = FitSerializer(allow_null=True)
    ratings_withheld = serializers.BooleanField(help_text="Whether the study keeps them until it is closed.")
    unfinished = serializers.DictField(
        allow_null=True, help_text="The ranking that is being made or failed: its id, state, stage and error."
    )
    summary = serializers.ListField(child=serializers.CharField())
    votes_waiting_for_a_fit = serializers.IntegerField()
    rows = RowSerializer(many=True)


@example(told=examples.PAIR)
class PairSerializer(serializers.Serializer):
    checkpoint = serializers.CharField()
    against = serializers.CharField()
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    both_bad = serializers.IntegerField()
    win_share = serializers.FloatField(allow_null=True)
    probability_better = serializers.FloatField(allow_null=True)


@example(told=examples.CURVE)
class CurveSerializer(serializers.Serializer):
    family = serializers.CharField()
    steps = serializers.ListField(child=serializers.DictField())


PLAIN = r"^[^\u0000]+$"


class RankingQuery(Query):
    criterion = Text(PLAIN, required=False, help_text="A key; the study's first by default; * for all pooled.")
    fit = serializers.UUIDField(required=False, help_text="The id of a frozen ranking; the newest by default.")
    tag = Text(PLAIN, required=False, help_text="Only prompts with this tag.")
    raters = serializers.ChoiceField(["people", "simulated"], required=False, help_text="Only votes of these.")
    group = Text(PLAIN, required=False, help_text="Only raters of this group.")
    since = serializers.DateField(required=False, help_text="Only votes from this day on (UTC).")
    until = serializers.DateField(required=False, help_text="Only votes up to this day (UTC).")
    excluded = serializers.ChoiceField(["counted"], required=False, help_text="Count excluded raters too.")
    weighting = serializers.ChoiceField(["trust", "propensity"], required=False, help_text="How votes weigh.")
    model = serializers.ChoiceField(["davidson", "bradley-terry"], required=False, help_text="Davidson by default.")
    covariates = Text(
        PLAIN, required=False, help_text="To allow for, with commas: resolution, aspect, duration, latency."
    )


class CurvesQuery(RankingQuery):
    measure = Text(PLAIN, required=False, help_text="`rating`, or a metric's column; the rating by default.")


class LeaderboardView(View):
    queries = {"GET": RankingQuery, "POST": RankingQuery}
    rates = {"POST": "computing"}

    @extend_schema(operation_id="study_leaderboard", responses={200: LeaderboardSerializer, **refused(422)})
    def get(self, request: Request, slug: str) -> Response:
        """Ratings by people and scores by machines, best rating first.

        A slice that nobody has asked for has no ratings: `fit` is null. Ask for it by POST.
        """
        return Response(downloads.document(_asked(request, slug)))

    @extend_schema(
        operation_id="study_leaderboard_ask",
        request=None,
        responses={202: LeaderboardSerializer, **refused(409, 422)},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have the ranking of a slice made, unless it is being made; then get it until `unfinished` is null."""
        question = _asked(request, slug)
        if question.withheld:
            raise PermissionDenied(WITHHELD)
        services.ask_for_fit(
            study=question.study, criterion=question.criterion, slice=question.slice, actor=Actor.of(request).user
        )
        return Response(downloads.document(_asked(request, slug)), status=202)


class HeadToHeadView(View):
    pagination_class = CountedPages
    queries = {"GET": RankingQuery}

    @extend_schema(operation_id="study_head_to_head", responses={200: PairSerializer(many=True), **refused(422)})
    def get(self, request: Request, slug: str) -> Response:
        """Every contestant against every other."""
        matrix = head_to_head(_asked(request, slug).board())
        pairs = [
            {
                "checkpoint": str(first),
                "against": str(second),
                "wins": pair.wins,
                "losses": pair.losses,
                "ties": pair.ties,
                "both_bad": pair.both_bad,
                "win_share": pair.share,
                "probability_better": pair.better,
            }
            for first, row in (matrix.lines if matrix else [])
            for second, pair in zip(matrix.contestants if matrix else (), row, strict=True)
            if pair is not None
        ]
        return self.page(pairs, PairSerializer)


class CurvesView(View):
    pagination_class = CountedPages
    queries = {"GET": CurvesQuery}

    @extend_schema(operation_id="study_curves", responses={200: CurveSerializer(many=True), **refused(422)})
    def get(self, request: Request, slug: str) -> Response:
        """Each family's checkpoints over their training steps."""
        board = _asked(request, slug).board()
        wanted = self.asked.get("measure", "")
        if wanted and wanted not in (offered := [one.key for one in measures(board)]):
            raise Refusal(f"Nothing that is called “{wanted[:80]}” is measured here; there is {', '.join(offered)}.")
        by = measure(board, wanted)
        found = [
            {
                "family": curve.family,
                "steps": [
                    {
                        "checkpoint": step.checkpoint.name,
                        "step": step.step,
                        "value": step.point and step.point.value,
                        "low": step.point and step.point.low,
                        "high": step.point and step.point.high,
                    }
                    for step in curve.steps
                ],
            }
            for curve in curves(board, by)
        ]
        return self.page(found, CurveSerializer)


def _asked(request: Request, slug: str) -> Question:
    """Raises: Refusal for a criterion that there is not; a page would show the first instead."""
    actor = Actor.of(request)
    question = ask(actor, get_study(actor, slug, "see"), request.query_params)
    named = request.query_params.get("criterion")
    if named is not None and named not in (known := [POOLED, *(one.key for one in question.criteria)]):
        raise Refusal(f"The study has no criterion “{named[:80]}”; it has {', '.join(known[1:])}, or * for all pooled.")
    return question
