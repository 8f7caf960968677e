"""Taking votes and preferences home: for programs, and the page that shows what there is to take."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from evalhub.asking import View
from evalhub.problems import Refusal, sentences
from evalhub.schema import refused
from evalhub.studies.access import Actor, role_in
from raters.exports import (
    TABLES,
    TYPES,
    Selection,
    SelectionSerializer,
    card,
    get_study_to_export,
    log_export,
    select,
    stream,
    totals,
)

MARKDOWN = "text/markdown; charset=utf-8"
INCLUDED = (
    ("decided", "Decided pairs only"),
    ("simulated", "Simulated raters"),
    ("controls", "Known answers and repeats"),
    ("excluded", "Excluded raters"),
)
TICKS = (
    ("decided", "Only pairs that were decided"),
    ("simulated", "Simulated raters too"),
    ("controls", "Known answers and repeats too"),
    ("excluded", "Excluded raters too"),
    ("cast_here", "Only votes that were cast here, no imported ones"),
)
TABLE = OpenApiParameter("table", str, OpenApiParameter.PATH, enum=list(TABLES))
FILE = OpenApiExample("A file", "the file's bytes")
CARD = OpenApiExample("A card", "# Preferences of Faces\n\n5,200 answers of 24 raters.\n")
KIND = OpenApiParameter("kind", str, OpenApiParameter.PATH, enum=list(TYPES))


def _of_type(media_type: str) -> type[BaseRenderer]:
    """What an address answers with that makes its body itself; a problem is told as JSON all the same."""
    return type("Renderer", (JSONRenderer,), {"media_type": media_type})


class ExportView(View):
    rate = "exports"
    queries = {"GET": SelectionSerializer}

    def get_renderers(self) -> list[BaseRenderer]:
        media_type = TYPES.get(self.kwargs.get("kind", ""), "application/octet-stream")
        return [_of_type(media_type.partition(";")[0])()]

    @extend_schema(
        operation_id="export",
        parameters=[TABLE, KIND],
        responses={
            **{(200, kind): OpenApiResponse(OpenApiTypes.BINARY, examples=[FILE]) for kind in TYPES.values()},
            **refused(422),
        },
    )
    def get(self, request: Request, slug: str, table: str, kind: str) -> StreamingHttpResponse:
        """Votes, preference pairs in Pick-a-Pic's columns, or chosen and rejected for reward models, as one file.

        The file is made while it is sent, at any size. Pictures are in Parquet files only.
        """
        actor = Actor.of(request)
        study = get_study_to_export(actor, slug)
        if table not in TABLES or kind not in TYPES:
            raise Http404
        selection = select(study, request.query_params)
        rows = TABLES[table](study, selection)
        log_export(study=study, actor=actor, file=f"{table}.{kind}", selection=selection)
        headers = {"Content-Disposition": f'attachment; filename="{study.slug}-{table}.{kind}"'}
        return StreamingHttpResponse(stream(rows, kind), content_type=TYPES[kind], headers=headers)


class CardView(View):
    rate = "exports"
    queries = {"GET": SelectionSerializer}
    renderer_classes = (_of_type("text/markdown"),)

    @extend_schema(
        operation_id="export_card",
        responses={
            (200, "text/markdown"): OpenApiResponse(OpenApiTypes.STR, examples=[CARD]),
            **refused(422),
        },
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """The dataset card that belongs to the preferences of the same query."""
        study = get_study_to_export(Actor.of(request), slug)
        text = card(study, select(study, request.query_params))
        return HttpResponse(text, MARKDOWN, headers={"Content-Disposition": 'attachment; filename="README.md"'})


@require_GET
@login_required
def export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """What can be taken home, and a form that narrows it."""
    actor = Actor.of(request)
    study = get_study_to_export(actor, slug)
    problems: list[str] = []
    try:
        selection = select(study, request.GET)
    except Refusal as refusal:
        problems, selection = [refusal.sentence], Selection()
    except ValidationError as error:
        problems, selection = sentences(error.detail), Selection()
    tags = sorted({tag for own in study.prompts.values_list("tags", flat=True) for tag in own})
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "export",
        "problems": problems,
        "selection": selection,
        "criteria": study.criteria.all(),
        "tags": tags,
        "ticks": [(name, label, getattr(selection, name)) for name, label in TICKS],
    }
    return render(request, "raters/export.html", context, status=422 if problems else 200)


@require_GET
@login_required
def export_totals(request: HttpRequest, slug: str) -> HttpResponse:
    """How much the form's selection takes, and the links to take it by; put into the page by htmx."""
    actor = Actor.of(request)
    study = get_study_to_export(actor, slug)
    try:
        selection = select(study, request.GET)
    except (Refusal, ValidationError):
        return HttpResponse(status=204)  # the page itself says what is wrong
    context = {"study": study, "totals": totals(study, selection), "query": request.GET.urlencode(), "kinds": TYPES}
    return render(request, "raters/export_totals.html", context)
