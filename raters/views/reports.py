"""What raters reported, skipped, marked and wrote, for a study's owners."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Sample, Study
from raters.models import Choice, Comparison, Remark, Side, Skip, SkipReason, Vote
from raters.presentation.stills import placed

SAMPLES_ON_A_PAGE = 50
REMARKS_ON_A_PAGE = 24


@dataclass
class Reported:
    """How often a sample was among what raters left unanswered.

    Attributes:
        broken: on which side how many raters found it broken; a report of both sides counts for both.
        skips: how often its pair was skipped for each other reason.
        shown: in how many comparisons it was seen, on either side, answered or not.
    """

    broken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Side.values, 0))
    skips: dict[str, int] = field(
        default_factory=lambda: {reason.value: 0 for reason in SkipReason if reason != SkipReason.BROKEN}
    )
    shown: int = 0

    @property
    def weight(self) -> tuple[int, int]:
        return sum(self.broken.values()), sum(self.skips.values())


@login_required
@require_GET
def reports(request: HttpRequest, slug: str) -> HttpResponse:
    """What is reported first, then what was skipped, then what raters marked and wrote: `?page=`, `?remarks=`."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    skips = Skip.objects.filter(comparison__study=study)
    by_sample = reported(study)
    samples = Paginator(list(by_sample), SAMPLES_ON_A_PAGE).get_page(request.GET.get("page"))
    wordy = skips.exclude(comment="").select_related("comparison__prompt", "comparison__rater").order_by("-id")
    remarks = Paginator(remarks_of(study), REMARKS_ON_A_PAGE).get_page(request.GET.get("remarks"))
    reasons = dict(skips.values_list("reason").annotate(Count("pk")))
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "section": "reports",
        "skipped": sum(reasons.values()),
        "reasons": [(SkipReason(reason).label, number) for reason, number in sorted(reasons.items())],
        "sides": [(side.label, sum(one.broken[side] for one in by_sample.values())) for side in Side],
        "samples": samples,
        "rows": _rows(list(samples), by_sample),
        "words": wordy[:REMARKS_ON_A_PAGE],
        "remarks": remarks,
        "told": [(remark, drawing(remark), _answers(remark)) for remark in remarks],
    }
    return render(request, "raters/reports.html", context)


def reported(study: Study) -> dict[int, Reported]:
    """By sample, the one most often found broken first; `shown` is left at 0."""
    found: dict[int, Reported] = {}
    skips = Skip.objects.filter(comparison__study=study).order_by()
    for side, other in ((Side.LEFT, Side.RIGHT), (Side.RIGHT, Side.LEFT)):
        of_side = skips.exclude(side=other).values_list(f"comparison__{side.value}", "reason").annotate(Count("pk"))
        for sample, reason, number in of_side:
            one = found.setdefault(sample, Reported())
            if reason == SkipReason.BROKEN:
                one.broken[side.value] += number
            else:
                one.skips[reason] += number
    return dict(sorted(found.items(), key=lambda entry: (*(-count for count in entry[1].weight), entry[0])))


def count_shown(found: dict[int, Reported]) -> None:
    """Fill in how often each of these samples was before a rater."""
    for side in Side.values:
        drawn = Comparison.objects.filter(**{f"{side}__in": list(found)}).order_by()
        drawn = drawn.exclude(shown_at=None, answered_at=None, skipped_at=None)  # leased ahead, and not seen yet
        for sample, number in drawn.values_list(side).annotate(Count("pk")):
            found[sample].shown += number


def remarks_of(study: Study) -> QuerySet[Remark]:
    """Places and words that came with answers which stand, the newest first."""
    newest = Vote.objects.filter(comparison=OuterRef("comparison")).order_by("-revision").values("revision")[:1]
    said = Remark.objects.filter(comparison__study=study).exclude(side="", comment="")
    return (
        said.annotate(newest=Subquery(newest))
        .filter(revision=F("newest"))
        .select_related(
            "comparison__prompt",
            "comparison__rater",
            "comparison__left__media",
            "comparison__right__media",
            "comparison__left__checkpoint",
            "comparison__right__checkpoint",
            "comparison__left_checkpoint",
            "comparison__right_checkpoint",
            "comparison__left_copy",
            "comparison__right_copy",
        )
        .prefetch_related("comparison__votes__criterion")
        .order_by("-id")
    )


def drawing(remark: Remark) -> dict[str, Any]:
    """What is marked, to be drawn: the sample, how it lay on the canvas that she saw, and the rectangle, in pixels of
    the canvas; empty where nothing is marked."""
    if not remark.side:
        return {}
    comparison = remark.comparison
    left = remark.side == Side.LEFT
    sample, copy = (comparison.left, comparison.left_copy) if left else (comparison.right, comparison.right_copy)
    if copy is None:
        return {}
    size = copy.width, copy.height
    inner, corner = placed((sample.media.width, sample.media.height), size)
    place = (remark.x, remark.y, remark.width, remark.height)
    return {
        "sample": sample,
        "size": size,
        "inner": inner,
        "corner": corner,
        "rectangle": [share * length for share, length in zip(place, size * 2, strict=True) if share is not None],
        "dot": max(size) / 60,
    }


def _answers(remark: Remark) -> list[tuple[str, str]]:
    """Each question's name, and what she answered with this remark, by contestant where one is better."""
    comparison = remark.comparison
    better = {Choice.LEFT: comparison.left_checkpoint, Choice.RIGHT: comparison.right_checkpoint}
    votes = [vote for vote in comparison.votes.all() if vote.revision == remark.revision]
    return [(vote.criterion.name, str(better.get(Choice(vote.choice), vote.get_choice_display()))) for vote in votes]


def _rows(page: list[int], by_sample: dict[int, Reported]) -> list[tuple[Sample, Reported]]:
    samples = Sample.objects.select_related("checkpoint__submission", "prompt", "media").in_bulk(page)
    here = {sample: by_sample[sample] for sample in page}
    count_shown(here)
    return [(samples[sample], one) for sample, one in here.items()]
