"""A leaderboard as a JSON document; the API's and the download's are one."""

from typing import Any

from evalhub.leaderboard.columns import Column
from evalhub.leaderboard.questions import Question
from evalhub.leaderboard.scores import Cell
from evalhub.leaderboard.summary import summary
from evalhub.leaderboard.tables import Leaderboard, Row
from raters.models import Fit


def document(question: Question) -> dict[str, Any]:
    """What answers a question, and what is still to come."""
    fit = question.unfinished
    return as_data(question.board()) | {
        "ratings_withheld": question.withheld,
        "unfinished": fit and {"id": str(fit.pk), "state": fit.state, "stage": fit.stage, "error": fit.error},
    }


def as_data(board: Leaderboard) -> dict[str, Any]:
    """JSON-ready: the fit it shows and a row per contestant."""
    return {
        "study": board.study.slug,
        "criterion": board.criterion.key if board.criterion else None,
        "fit": board.fit and _fit(board.fit),
        "summary": [sentence.text for sentence in summary(board)],
        "votes_waiting_for_a_fit": board.waiting_votes,
        "rows": [_row(board, row) for row in board.rows],
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "id": str(fit.pk),
        "created_at": fit.created_at,
        "votes": fit.votes,
        "simulated_votes": fit.simulated_votes,
        "raters": fit.raters,
        "cut_off": fit.cut_off,
        "method": fit.method,
        "version": fit.version,
        "seed": fit.seed,
        "slice": fit.slice,
        "settings": fit.settings,
        "position": fit.position,
        "covariates": fit.covariates,
        "agreement": fit.agreement,
        "separations": fit.separations,
        "verdicts": [
            {
                "candidate": str(verdict.margin.candidate),
                "baseline": str(verdict.margin.baseline),
                "margin": verdict.margin.margin,
                "outcome": verdict.outcome,
                "difference": verdict.difference,
                "low": verdict.low,
                "high": verdict.high,
                "more_votes": verdict.more_votes,
                "sentence": verdict.sentence,
            }
            for verdict in fit.verdicts.all()
        ],
        "warnings": fit.warnings,
    }


def _row(board: Leaderboard, row: Row) -> dict[str, Any]:
    checkpoint, rating = row.checkpoint, row.rating
    return {
        "checkpoint": checkpoint.name,
        "family": checkpoint.family,
        "step": checkpoint.step,
        "withdrawn": checkpoint.withdrawn_at is not None,
        "rank_low": rating.rank_low if rating else None,
        "rank_high": rating.rank_high if rating else None,
        "rating": rating.rating if rating else None,
        "low": rating.low if rating else None,
        "high": rating.high if rating else None,
        "comparisons": rating.comparisons if rating else 0,
        "win_rate": row.win_rate,
        "tie_rate": row.tie_rate,
        "both_bad_rate": row.both_bad_rate,
        "separated_from_next": row.next.separated if row.next else None,
        "more_votes_to_separate": row.next.more_votes if row.next else None,
        "scores": [_score(column, cell) for column, cell in zip(board.columns, row.cells, strict=True)],
        "facts": {
            "self_reported": True,
            "latency_p50": checkpoint.latency_p50,
            "latency_p95": checkpoint.latency_p95,
            "price": checkpoint.price,
            "gpu": checkpoint.gpu,
            "dtype": checkpoint.dtype,
        },
        "warnings": list(row.warnings),
    }


def _score(column: Column, cell: Cell) -> dict[str, Any]:
    return {
        "metric": column.metric,
        "column": column.key,
        "state": cell.state or "none",
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "interval": cell.interval,
        "fingerprint": column.fingerprint,
        "note": cell.note,
    }
