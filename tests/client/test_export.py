"""The leaderboard as a file of the researcher's own."""

import csv
import io
from typing import Any

import pytest

from evalhub.client.display import show_leaderboard
from evalhub.client.sheet import write_rows


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
    write_rows(file, board(fit))
    return next(csv.DictReader(io.StringIO(file.getvalue())))


def test_it_says_how_many_votes_are_simulated() -> None:
    line = written({"votes": 120, "simulated_votes": 100})
    assert (line["ranking_votes"], line["ranking_simulated_votes"]) == ("120", "100")
    assert written(None)["ranking_simulated_votes"] == "0"


def test_a_name_is_no_formula_and_a_number_stays_one() -> None:
    line = written(None)
    assert (line["checkpoint"], line["rating"]) == ("'=cmd()", "-1.5")
    assert (line["fid:aaaaaaaa"], line["fid:aaaaaaaa_n"], line["warnings"]) == ("12.5", "97", "Few.")


def test_on_the_screen_every_score_has_its_number_of_samples(capsys: pytest.CaptureFixture[str]) -> None:
    shown = board({"votes": 120, "simulated_votes": 100})
    shown["rows"][0] |= dict.fromkeys(("step", "low", "high", "rank_low", "rank_high")) | {"comparisons": 60}
    show_leaderboard(shown)
    said = capsys.readouterr().out
    assert "n = 97" in said
    assert "100 of 120 votes are simulated." in said
