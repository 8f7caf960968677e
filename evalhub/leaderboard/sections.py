"""What lies behind the table, a page each: what it is called, what it shows and the picture of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.http import QueryDict

from evalhub.leaderboard import charts
from evalhub.leaderboard.charts.concordance import Agreed
from evalhub.leaderboard.curves import curves
from evalhub.leaderboard.history import PAGE, fits_of, traces
from evalhub.leaderboard.matrix import MOST_CONTESTANTS, head_to_head
from evalhub.leaderboard.measures import measure, measures
from evalhub.leaderboard.models import MetricAgreement
from evalhub.leaderboard.pareto import COSTS, offers
from evalhub.leaderboard.questions import Question
from evalhub.leaderboard.tables import Leaderboard

Content = Callable[[Leaderboard, Question, QueryDict], dict[str, Any]]


@dataclass(frozen=True)
class Section:
    """Args:
    content: what its template needs; `picture` is its chart, or None where there is nothing to draw.
    """

    key: str
    title: str
    content: Content

    @property
    def template(self) -> str:
        return f"leaderboard/{self.key.replace('-', '_')}.html"


def _matrix(board: Leaderboard, question: Question, parameters: QueryDict) -> dict[str, Any]:
    matrix = head_to_head(board)
    return {
        "matrix": matrix and matrix.first(MOST_CONTESTANTS),
        "left_out": max(0, len(matrix.contestants) - MOST_CONTESTANTS) if matrix else 0,
        "picture": matrix and charts.matrix_chart(matrix, board.fit),
    }


def _training(board: Leaderboard, question: Question, parameters: QueryDict) -> dict[str, Any]:
    by = measure(board, parameters.get("measure", ""))
    found = curves(board, by)
    return {
        "measures": measures(board),
        "measure": by,
        "curves": found,
        "picture": charts.curves_chart(found, by, board.fit),
    }


def _cost(board: Leaderboard, question: Question, parameters: QueryDict) -> dict[str, Any]:
    by, asked = measure(board, parameters.get("measure", "")), parameters.get("cost", "")
    known = [cost for cost in COSTS if any(offers(board, one, cost) for one in measures(board))]
    cost = asked if asked in COSTS else next(iter(known), next(iter(COSTS)))
    found = offers(board, by, cost)
    return {
        "measures": measures(board),
        "measure": by,
        "costs": {key: title.partition(",")[0] for key, title in COSTS.items()},
        "cost": cost,
        "offers": found,
        "picture": charts.pareto_chart(found, by, cost, board.fit),
    }


def _metrics(board: Leaderboard, question: Question, parameters: QueryDict) -> dict[str, Any]:
    titles = {(one.column.metric, one.column.fingerprint): one.title for one in measures(board) if one.column}
    found = {(row.metric, row.fingerprint): row for row in MetricAgreement.objects.beside(board.fit)}
    beside = next(iter(found.values())).fit if found else board.fit
    rows = [Agreed(title, found[key]) for key, title in titles.items() if key in found]
    rows.sort(key=lambda row: (row.found.tau is None, -(row.found.tau or 0), row.title))
    return {
        "agreed": rows,
        "beside": beside,
        "metrics": list(titles.values()),
        "picture": charts.agreement_chart(rows, beside),
    }


def _history(board: Leaderboard, question: Question, parameters: QueryDict) -> dict[str, Any]:
    fits = fits_of(question.study, question.criterion, question.slice)
    if question.withheld:
        fits = fits.none()
    return {
        "page": Paginator(fits, PAGE).get_page(parameters.get("page")),
        "picture": charts.history_chart(traces(fits), board.fit),
    }


SECTIONS: Mapping[str, Section] = {
    section.key: section
    for section in (
        Section("head-to-head", "Head to head", _matrix),
        Section("training", "Over training", _training),
        Section("cost", "Quality and cost", _cost),
        Section("metrics", "Metrics and people", _metrics),
        Section("history", "History", _history),
    )
}
