"""The leaderboard as a file of the researcher's own."""

import csv
import io
from typing import Any

from evalhub.client.command import _write_rows


def board(fit: dict[str, int] | None) -> dict[str, Any]:
    score = {"metric": "fid", "fingerprint": "a" * 64, "value": 12.5, "low": 11.0, "high": 14.0, "n": 97}
    row = {
        "checkpoint": "=cmd()",
        "rating": -1.5,
        "facts": {"self_reported": True, "gpu": "H200"},
        "warnings": ["Few."],
    }
    return {"fit": fit, "rows": [row | {"scores": [score]}]}


def written(fit: dict[str, int] | None) -> dict[str, str]:
    file = io.StringIO()
    _write_rows(file, board(fit))
    return next(csv.DictReader(io.StringIO(file.getvalue())))


def test_it_says_how_many_votes_are_simulated() -> None:
    line = written({"votes": 120, "simulated_votes": 100})
    assert (line["ranking_votes"], line["ranking_simulated_votes"]) == ("120", "100")
    assert written(None)["ranking_simulated_votes"] == "0"


def test_a_name_is_no_formula_and_a_number_stays_one() -> None:
    line = written(None)
    assert (line["checkpoint"], line["rating"]) == ("'=cmd()", "-1.5")
    assert (line["fid:aaaaaaaa"], line["fid:aaaaaaaa n"], line["warnings"]) == ("12.5", "97", "Few.")
