"""The leaderboard's pages: the table, one frozen fit, and what can be taken home."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET
from django_htmx.middleware import HtmxDetails
from rest_framework.utils.encoders import JSONEncoder

from evalhub.leaderboard import charts, downloads
from evalhub.leaderboard.tables import Leaderboard, leaderboard
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from raters.models import Fit, FitState


@require_GET
@login_required
def study_page(request: HttpRequest, slug: str) -> HttpResponse:
    """A study's leaderboard: `?criterion=`, `?sort=` and `?fit=` make every state of it a link."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    board = _board(request, study)
    chart = charts.ratings_chart(board)
    context: dict[str, Any] = {
        "study": study,
        "role": role_in(actor, study),
        "active": "leaderboard",
        "board": board,
        "criteria": list(study.criteria.all()),
        # Vega escapes every text that it draws.
        "chart": chart and mark_safe(charts.inline_svg(chart)),
        "sort": request.GET.get("sort", "-rating"),
        "query": _query(request),
        "frozen": "fit" in request.GET,
        "poll_seconds": 4,
    }
    template = "leaderboard/leaderboard.html"
    return render(request, f"{template}#board" if HtmxDetails(request) else template, context)


@require_GET
@login_required
def download(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """The same leaderboard as `csv` or `json`, or its picture as `svg` or `png`."""
    study = get_study(Actor.of(request), slug, "see")
    board = _board(request, study)
    body, content_type = _rendered(board, kind)
    name = f"{study.slug}-leaderboard.{kind}"
    return HttpResponse(
        body,
        content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _rendered(board: Leaderboard, kind: str) -> tuple[str | bytes, str]:
    if kind == "csv":
        return downloads.as_csv(board), "text/csv; charset=utf-8"
    if kind == "json":
        return json.dumps(downloads.as_data(board), cls=JSONEncoder, indent=2), "application/json"
    chart = charts.ratings_chart(board)
    if chart is None:
        raise Http404
    return (charts.png(chart), "image/png") if kind == "png" else (charts.plain_svg(chart), "image/svg+xml")


def _board(request: HttpRequest, study: Study) -> Leaderboard:
    asked = request.GET.get("criterion", "")
    criterion = next((one for one in study.criteria.all() if one.key == asked), None)
    fit = _frozen_fit(study, request.GET["fit"]) if "fit" in request.GET else None
    return leaderboard(study=study, criterion=criterion, fit=fit, sort=request.GET.get("sort", ""))


def _frozen_fit(study: Study, text: str) -> Fit:
    try:
        fit = Fit.objects.filter(study=study, pk=UUID(text), state=FitState.DONE).first()
    except ValueError:
        fit = None
    if fit is None:
        raise Http404
    return fit


def _query(request: HttpRequest) -> str:
    """What the links on the page keep of the address beside the order."""
    return urlencode([(key, value) for key, value in request.GET.items() if key in {"criterion", "fit"}])
