"""A leaderboard as data: the same numbers as the page, for programs and spreadsheets."""

import csv
import io
from typing import Any

from evalhub.leaderboard.tables import Cell, Leaderboard, Row


def as_data(board: Leaderboard) -> dict[str, Any]:
    """JSON-ready: the fit it shows and a row per contestant."""
    fit = board.fit
    return {
        "study": board.study.slug,
        "criterion": board.criterion.key if board.criterion else None,
        "fit": fit
        and {
            "id": str(fit.pk),
            "created_at": fit.created_at,
            "votes": fit.votes,
            "simulated_votes": fit.simulated_votes,
            "raters": fit.raters,
            "cut_off": fit.cut_off,
            "method": fit.method,
            "version": fit.version,
            "position": fit.position,
            "warnings": fit.warnings,
        },
        "votes_waiting_for_a_fit": board.waiting_votes,
        "rows": [_row(board, row) for row in board.rows],
    }


def _row(board: Leaderboard, row: Row) -> dict[str, Any]:
    checkpoint, rating = row.checkpoint, row.rating
    return {
        "checkpoint": checkpoint.name,
        "family": checkpoint.family,
        "step": checkpoint.step,
        "rating": rating.rating if rating else None,
        "low": rating.low if rating else None,
        "high": rating.high if rating else None,
        "rank_low": rating.rank_low if rating else None,
        "rank_high": rating.rank_high if rating else None,
        "comparisons": rating.comparisons if rating else 0,
        "win_rate": row.win_rate,
        "tie_rate": row.tie_rate,
        "both_bad_rate": row.both_bad_rate,
        "scores": [
            _score(column.metric, column.fingerprint, cell)
            for column, cell in zip(board.columns, row.cells, strict=True)
        ],
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


def _score(metric: str, fingerprint: str, cell: Cell) -> dict[str, Any]:
    return {
        "metric": metric,
        "state": cell.state or "none",
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "interval": cell.interval,
        "fingerprint": fingerprint,
        "note": cell.note,
    }


def as_csv(board: Leaderboard) -> str:
    """A line per contestant; a metric's value, interval and n each in a column of their own.

    `ranking_votes` and `ranking_simulated_votes` are those of the whole ranking, the same on every line.
    """
    people = [
        "rank_low",
        "rank_high",
        "rating",
        "low",
        "high",
        "comparisons",
        "win_rate",
        "tie_rate",
        "both_bad_rate",
    ]
    header = ["checkpoint", "family", "step", *people]
    for column in board.columns:
        header += [f"{column.key}{part}" for part in ("", "_low", "_high", "_n")]
    header += ["latency_p50", "latency_p95", "price", "gpu", "dtype"]
    header += ["ranking_votes", "ranking_simulated_votes", "warnings"]
    votes = [board.fit.votes, board.fit.simulated_votes] if board.fit else [0, 0]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for row in board.rows:
        data = _row(board, row)
        line = [
            _safe(data["checkpoint"]),
            _safe(data["family"]),
            data["step"],
            *(data[name] for name in people),
        ]
        for cell in row.cells:
            line += [cell.value, cell.low, cell.high, cell.n or None]
        facts = data["facts"]
        line += [
            facts["latency_p50"],
            facts["latency_p95"],
            facts["price"],
            _safe(facts["gpu"]),
            _safe(facts["dtype"]),
            *votes,
            _safe(" ".join(data["warnings"])),
        ]
        writer.writerow(line)
    return out.getvalue()


def _safe(text: str) -> str:
    """A name that a spreadsheet would run as a formula is quoted, as spreadsheets themselves do it."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
