"""The leaderboard as a sheet: the columns of the site's own CSV, by the same names."""

import csv
from typing import Any, TextIO

# What a spreadsheet takes for the beginning of a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_rows(file: TextIO, board: dict[str, Any]) -> None:
    """One line per contestant, with how many votes the whole ranking rests on and how many of them are simulated."""
    fit = board["fit"] or {"votes": 0, "simulated_votes": 0}
    ranking = {"ranking_votes": fit["votes"], "ranking_simulated_votes": fit["simulated_votes"]}
    flat = [{name: _safe(value) for name, value in _flat(row, ranking).items()} for row in board["rows"]]
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in flat for name in row)))
    writer.writeheader()
    writer.writerows(flat)


def _flat(row: dict[str, Any], ranking: dict[str, Any]) -> dict[str, Any]:
    line = {name: value for name, value in row.items() if name not in {"scores", "facts", "warnings"}}
    for score in row["scores"]:
        name = f"{score['metric']}:{score['fingerprint'][:8]}".rstrip(":")
        values = {"": score["value"], "_low": score["low"], "_high": score["high"], "_n": score["n"] or None}
        line |= {f"{name}{part}": value for part, value in values.items()}
    line |= {name: value for name, value in row["facts"].items() if name != "self_reported"}
    return line | ranking | {"warnings": " ".join(row["warnings"])}


def _safe(value: Any) -> Any:
    """A name that a spreadsheet would run as a formula is quoted, as spreadsheets themselves do it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value
