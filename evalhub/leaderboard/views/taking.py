"""What can be taken home: tables and pictures as files."""

import json
from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from rest_framework.utils.encoders import JSONEncoder

from evalhub.leaderboard import charts, downloads
from evalhub.leaderboard.questions import Question, ask
from evalhub.leaderboard.sections import SECTIONS
from evalhub.problems import Refusal
from evalhub.studies.access import Actor, get_study

CSV = "text/csv; charset=utf-8"
TYPES = {
    "csv": CSV,
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "tex": "application/x-tex; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}


TABLES: dict[str, Callable[[Question], str | bytes]] = {
    "csv": lambda question: downloads.as_csv(question.board()),
    "json": lambda question: json.dumps(downloads.document(question), cls=JSONEncoder, indent=2),
    "parquet": lambda question: downloads.as_parquet(question.board()),
    "tex": lambda question: downloads.as_latex(question.board()),
}


@require_GET
@login_required
def download(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """The table as `csv`, `json`, `parquet` or `tex`, or its picture as `svg` or `png`."""
    question = _asked(request, slug)
    if kind in TABLES:
        return _file(TABLES[kind](question), kind, f"{slug}-leaderboard")
    return _picture(charts.ratings_chart(question.board()), kind, f"{slug}-ratings")


@require_GET
@login_required
def download_section(request: HttpRequest, slug: str, section: str, kind: str) -> HttpResponse:
    """A section's picture as `svg` or `png`, or the figures it was drawn from as `csv`."""
    if section not in SECTIONS:
        raise Http404
    question = _asked(request, slug)
    found = SECTIONS[section].content(question.board(), question, request.GET)
    return _picture(found["picture"], kind, f"{slug}-{section}")


def _asked(request: HttpRequest, slug: str) -> Question:
    actor = Actor.of(request)
    study = get_study(actor, slug, "see")
    try:
        return ask(actor, study, request.GET)
    except Refusal:
        raise Http404 from None


def _picture(picture: charts.Picture | None, kind: str, name: str) -> HttpResponse:
    if picture is None:
        raise Http404
    if kind == "csv":
        return _file(downloads.values_as_csv(picture.values), kind, name)
    return _file(charts.png(picture) if kind == "png" else charts.plain_svg(picture), kind, name)


def _file(body: str | bytes, kind: str, name: str) -> HttpResponse:
    return HttpResponse(body, TYPES[kind], headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'})
