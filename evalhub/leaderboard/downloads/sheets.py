"""A leaderboard as a sheet, CSV or Parquet: a line per contestant, with the columns that `evalhub export` writes."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalhub.leaderboard.downloads.documents import as_data
from evalhub.leaderboard.tables import Leaderboard
from evalhub.sheets import harmless

# Arrow takes long to load: it is loaded for whoever takes a table, not by every web server that starts.
if TYPE_CHECKING:
    import pyarrow

NUMBERS = {"step", "rank_low", "rank_high", "comparisons", "more_votes_to_separate"}
TEXTS = {"checkpoint", "family", "gpu", "dtype", "warnings"}
SAID = {"withdrawn", "separated_from_next"}


def as_csv(board: Leaderboard) -> str:
    """Text that would run as a formula is quoted, as spreadsheets themselves do it.

    `ranking_votes` and `ranking_simulated_votes` are those of the whole ranking, the same on every line.
    """
    return _written(header(board), lines(board))


def values_as_csv(values: Sequence[Mapping[str, Any]]) -> str:
    """What a chart was drawn from."""
    return _written(list(dict.fromkeys(name for value in values for name in value)), values)


def as_parquet(board: Leaderboard) -> bytes:
    """The same with types; the file's metadata say which ranking it is."""
    import pyarrow
    from pyarrow import parquet

    found = lines(board)
    names = header(board)
    schema = pyarrow.schema([(name, _type(name)) for name in names])
    about = {"evalhub": json.dumps({name: as_data(board)[name] for name in ("study", "criterion")} | _about(board))}
    table = pyarrow.Table.from_pylist(found, schema=schema.with_metadata(about))
    out = io.BytesIO()
    parquet.write_table(table, out)
    return out.getvalue()


def header(board: Leaderboard) -> list[str]:
    """A metric's value, interval and n each have a column of their own."""
    parts = ("", "_low", "_high", "_n")
    return [
        *("checkpoint", "family", "step", "withdrawn"),
        *("rank_low", "rank_high", "rating", "low", "high", "comparisons", "win_rate", "tie_rate", "both_bad_rate"),
        *("separated_from_next", "more_votes_to_separate"),
        *(f"{column.key}{part}" for column in board.columns for part in parts),
        *("latency_p50", "latency_p95", "price", "gpu", "dtype"),
        *("ranking_votes", "ranking_simulated_votes", "warnings"),
    ]


def lines(board: Leaderboard) -> list[dict[str, Any]]:
    """A contestant's figures by the names of the header."""
    votes, simulated = (board.fit.votes, board.fit.simulated_votes) if board.fit else (0, 0)
    found = []
    for row in as_data(board)["rows"]:
        line = {name: value for name, value in row.items() if name not in {"scores", "facts", "warnings"}}
        for score in row["scores"]:
            values = (score["value"], score["low"], score["high"], score["n"] or None)
            for part, value in zip(("", "_low", "_high", "_n"), values, strict=True):
                line[score["column"] + part] = value
        line |= {name: value for name, value in row["facts"].items() if name != "self_reported"}
        line |= {"ranking_votes": votes, "ranking_simulated_votes": simulated, "warnings": " ".join(row["warnings"])}
        found.append(line)
    return found


def _written(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [harmless(name) for name in names])
    writer.writeheader()
    writer.writerows({harmless(name): harmless(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _type(name: str) -> "pyarrow.DataType":
    import pyarrow

    if name in TEXTS:
        return pyarrow.string()
    if name in SAID:
        return pyarrow.bool_()
    is_number = name in NUMBERS or name.endswith("_n") or name.startswith("ranking_")
    return pyarrow.int64() if is_number else pyarrow.float64()


def _about(board: Leaderboard) -> dict[str, Any]:
    fit = board.fit
    return {"fit": str(fit.pk), "cut_off": fit.cut_off, "version": fit.version} if fit else {"fit": None}
