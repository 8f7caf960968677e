"""What raters reported and skipped, for programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.asking import Query, Text, View
from evalhub.pages import CountedPages
from evalhub.schema import example
from evalhub.studies.access import Actor, get_study
from evalhub.studies.models import Sample
from raters import examples
from raters.api import PLAIN
from raters.views.reports import Reported, count_shown, reported


class BrokenSerializer(serializers.Serializer):
    left = serializers.IntegerField(help_text="How many raters found it broken when it was on the left.")
    right = serializers.IntegerField()


class SkipsSerializer(serializers.Serializer):
    cannot_tell = serializers.IntegerField(help_text="How many skipped a pair with it that they could not judge.")
    upsetting = serializers.IntegerField()
    other = serializers.IntegerField()


@example(told=examples.REPORT)
class ReportSerializer(serializers.Serializer):
    sample = serializers.IntegerField()
    checkpoint = serializers.CharField()
    prompt = serializers.CharField()
    seed = serializers.IntegerField()
    broken = BrokenSerializer()
    skips = SkipsSerializer()
    shown = serializers.IntegerField(help_text="In how many comparisons it was seen, on either side, answered or not.")


class ReportQuery(Query):
    checkpoint = Text(PLAIN, required=False, help_text="Only outputs of checkpoints with this name.")
    prompt = Text(PLAIN, required=False, help_text="A prompt's key.")
    broken = serializers.BooleanField(required=False, help_text="Whether anybody found it broken.")


class ReportsView(View):
    pagination_class = CountedPages
    queries = {"GET": ReportQuery}

    @extend_schema(operation_id="list_reports", responses=ReportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Every output that was reported or skipped, the one most often found broken first; for owners."""
        by_sample = reported(get_study(Actor.of(request), slug, "manage"))
        page = self.paginate_queryset(self._asked_for(by_sample)) or []
        count_shown(here := {sample: by_sample[sample] for sample in page})
        samples = Sample.objects.select_related("checkpoint", "prompt").in_bulk(page)
        rows: list[dict[str, Any]] = [
            {
                "sample": sample,
                "checkpoint": str(samples[sample].checkpoint),
                "prompt": samples[sample].prompt.key,
                "seed": samples[sample].seed,
                "broken": one.broken,
                "skips": one.skips,
                "shown": one.shown,
            }
            for sample, one in here.items()
        ]
        return self.get_paginated_response(ReportSerializer(rows, many=True).data)

    def _asked_for(self, by_sample: dict[int, Reported]) -> list[int]:
        """The samples that the parameters leave, in the same order."""
        lookups = {"checkpoint": "checkpoint__name", "prompt": "prompt__key"}
        narrowed = {lookups[name]: said for name, said in self.asked.items() if name in lookups}
        found = set(Sample.objects.filter(pk__in=by_sample, **narrowed).values_list("pk", flat=True))
        broken = self.asked.get("broken")
        return [
            sample
            for sample, one in by_sample.items()
            if sample in found and (broken is None or any(one.broken.values()) == broken)
        ]
