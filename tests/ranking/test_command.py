"""`python -m raters.ranking VOTES.csv`, run as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raters.ranking import OUTCOMES, Votes, rank
from raters.ranking.__main__ import main
from tests.ranking.simulated import World

ROOT = Path(__file__).parents[2]
WORLD = World((-0.8, 0.0, 0.8), raters=12, prompts=15, rater_spread=0.1, prompt_spread=0.1)


@pytest.fixture
def votes_file(tmp_path: Path) -> Path:
    votes = WORLD.votes(np.random.default_rng(0), each=20)
    assert votes.rater is not None
    assert votes.prompt is not None
    rows = zip(votes.left, votes.right, votes.outcome, votes.rater, votes.prompt, strict=True)
    lines = [f"m{a},m{b},{OUTCOMES[o]},r{r},p{p},{'detail' if r % 2 else 'faith'}" for a, b, o, r, p in rows]
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(["left,right,outcome,rater,prompt,criterion", *lines]) + "\n")
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raters.ranking", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_json_has_the_agreed_keys(votes_file: Path) -> None:
    done = run(votes_file, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert {"ratings", "position", "tie", "warnings"} <= report.keys()
    assert set(report["position"]) == {"value", "se"}
    for row in report["ratings"]:
        assert {"name", "rating", "se", "low", "high", "rank_low", "rank_high", "comparisons"} <= row.keys()
        assert row["low"] < row["rating"] < row["high"]
    assert [row["name"] for row in report["ratings"]] == ["m2", "m1", "m0"]
    assert np.mean([row["rating"] for row in report["ratings"]]) == pytest.approx(1500)
    assert report["clusters"] == {"rater": 12, "prompt": 15}


def test_the_table_is_for_reading(votes_file: Path) -> None:
    done = run(votes_file)
    assert done.returncode == 0
    head, first, *_ = done.stdout.splitlines()
    assert head.split()[:3] == ["rank", "name", "rating"]
    assert "m2" in first
    assert "Left side's advantage" in done.stdout


def test_the_log_scale_is_relative_to_the_anchor(votes_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["name"]: row for row in answer(capsys, votes_file, "--scale", "log", "--anchor", "m1")["ratings"]}
    assert (rows["m1"]["rating"], rows["m1"]["se"]) == (0, 0)
    elo = {row["name"]: row for row in answer(capsys, votes_file, "--anchor", "m1")["ratings"]}
    assert elo["m2"]["rating"] - 1500 == pytest.approx(400 / np.log(10) * rows["m2"]["rating"])
    centred = answer(capsys, votes_file, "--scale", "log")["ratings"]
    assert sum(row["rating"] for row in centred) == pytest.approx(0, abs=1e-9)


def test_options_reach_the_ranking(votes_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(
        capsys,
        votes_file,
        *("--model", "bradley-terry", "--cluster", "rater", "--no-position"),
        *("--phantom", "0", "--cluster-correction", "none", "--seed", "5"),
    )
    chosen = {"model": "bradley-terry", "cluster": ["rater"], "position": False, "phantom": 0, "seed": 5}
    assert chosen.items() <= report["settings"].items()
    assert report["settings"]["cluster_correction"] == "none"
    assert report["position"] == {"value": None, "se": None}
    assert answer(capsys, votes_file, "--cluster", "none")["clusters"] == {}


def test_a_criterion_can_be_chosen(votes_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, detail, faith = (
        answer(capsys, votes_file, *arguments)["votes"]
        for arguments in ((), ("--criterion", "detail"), ("--criterion", "faith"))
    )
    assert whole == detail + faith == 240
    assert main([str(votes_file), "--criterion", "beauty"]) == 2
    assert "detail, faith" in capsys.readouterr().err


def test_columns_may_come_in_any_order_with_others_among_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "v.csv", "outcome,note,right, left", "left,x,B,A", "", "tie,y,A,B", '"right","a, b",B,A')
    report = answer(capsys, path)
    assert {row["name"]: row["wins"] for row in report["ratings"]} == {"A": 1, "B": 1}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_files_as_spreadsheets_write_them(tmp_path: Path, capsys: pytest.CaptureFixture[str], line_end: str) -> None:
    """With a byte order mark, any line ends, and commas, quotes and line ends within names."""
    rows = ["left,right,outcome", '"A, ""x""",B,left', 'B,"A, ""x""",tie', '"two\nlines",B,both_bad']
    path = tmp_path / "v.csv"
    path.write_bytes(b"\xef\xbb\xbf" + line_end.join(rows).encode())
    report = answer(capsys, path)
    assert {row["name"]: row["comparisons"] for row in report["ratings"]} == {'A, "x"': 2, "B": 3, "two\nlines": 1}


def test_covariates_are_columns_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = WORLD.votes(np.random.default_rng(1), each=30)
    pixels = np.random.default_rng(2).normal(0, 2, len(votes))
    rows = zip(votes.left, votes.right, votes.outcome, pixels, strict=True)
    path = write(
        tmp_path / "v.csv", "left,right,outcome,pixels", *(f"m{a},m{b},{OUTCOMES[o]},{x}" for a, b, o, x in rows)
    )
    report = answer(capsys, path, "--covariates", "pixels")
    plain = Votes(votes.left, votes.right, votes.outcome, covariates={"pixels": pixels})
    expected = rank(plain, WORLD.names, cluster=()).covariates["pixels"]
    assert report["covariates"]["pixels"] == {"value": pytest.approx(expected.value), "se": pytest.approx(expected.se)}
    assert main([str(path), "--covariates", "pixels"]) == 0
    assert "A typical difference of pixels: " in capsys.readouterr().out


def test_no_votes_are_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, write(tmp_path / "v.csv", "left,right,outcome"))
    assert report["ratings"] == []
    assert "no votes" in report["warnings"][0]


def test_bad_rows_are_named_by_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "v.csv",
        "left,right,outcome,rater",
        "A,B,left,r1",
        "A,B,draw,r1",
        "A,A,left,r1",
        "A,B,left",
        "",
        "A,,tie,r1",
        "A,B,tie, ",
    )
    done = run(path, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "Line 3: outcome must be one of left, right, tie, both_bad, got 'draw'.",
        "Line 4: left and right must differ, got 'A' twice.",
        "Line 5: expected 4 fields, as in the header, got 3.",
        "Line 7: right must not be blank.",
        "Line 8: rater must not be blank.",
    ]


def test_many_bad_rows_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "v.csv", "left,right,outcome", *["A,B,won"] * 50)
    assert main([str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert "30 more" in lines[-1]


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        ("left,outcome\nA,left\n", (), "right is missing"),
        ("", (), "The line is empty."),
        ("\n\n", (), "The line is empty."),
        (
            "left;right;outcome\nA;B;tie\n",
            (),
            "comma-separated; left and right and outcome are missing. The line is 'left;ri",
        ),
        ("left,right,outcome,left\nA,B,tie,A\n", (), "named twice"),
        ("left,right,outcome\nA,B,tie\n", ("--cluster", "rater"), "needs a rater column"),
        ("left,right,outcome\nA,B,tie\n", ("--cluster", "town"), "must be one of rater, prompt"),
        ("left,right,outcome\nA,B,tie\n", ("--anchor", "Z"), "anchor must be one of"),
        ("left,right,outcome\nA,B,tie\n", ("--phantom", "-2"), "from 0 up"),
        ("left,right,outcome\nA,B,tie\n", ("--criterion", "x"), "no criterion column"),
        (b"left,right,outcome\nA,B,tie\nCaf\xe9,B,tie\n", (), "UTF-8 text, but line 3 is not"),
        ("left,right,outcome\nA,B,left\n".encode("utf-16"), (), "UTF-8 text, but line 1 is not"),
        ("left,right,outcome\nA\0,B,tie\n", (), "Line 2: left must be text, got a null character"),
        (
            'left,right,outcome\nA,B,tie\n"C,B,left\nA,C,tie\n',
            (),
            "Line 3: expected 3 fields, as in the header, got 1.",
        ),
        ('left,right,outcome\n"A\nB",C,tie\n\nC,C,tie\n', (), "Line 5: left and right must differ"),
        ("left,right,outcome\nA,B,tie\n", ("--covariates", "pixels"), "pixels is missing"),
        (
            "left,right,outcome,pixels\nA,B,tie,wide\n",
            ("--covariates", "pixels"),
            "Line 2: pixels must be a finite number",
        ),
        (
            "left,right,outcome,pixels\nA,B,tie,nan\n",
            ("--covariates", "pixels"),
            "Line 2: pixels must be a finite number",
        ),
        ("left,right,outcome,rater\nA,B,tie,r\n", ("--covariates", "rater"), "has another meaning"),
        ("left,right,outcome,position\nA,B,tie,1\n", ("--covariates", "position"), "must not be called position"),
        ("left,right,outcome\n" + "A" * 200_000 + ",B,tie\n", (), "not a CSV table"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, arguments: tuple[str, ...], sentence: str
) -> None:
    path = tmp_path / "v.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main([str(path), *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "with 95 % intervals" in capsys.readouterr().out


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path / "none.csv")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_ends_quietly_when_its_reader_leaves(tmp_path: Path) -> None:
    """It prints more than a pipe holds, and one line is read."""
    path = write(tmp_path / "v.csv", "left,right,outcome", *(f"c{i},{'d' * 50}{i},tie" for i in range(300)))
    command = f"{sys.executable} -m raters.ranking {path} --json | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_names_are_printed_in_any_locale(tmp_path: Path) -> None:
    path = write(tmp_path / "v.csv", "left,right,outcome", "λ – 1,B,tie")
    done = subprocess.run(
        [sys.executable, "-m", "raters.ranking", str(path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert "λ – 1" in done.stdout.decode()


def test_it_needs_no_web_framework() -> None:
    code = "import sys, raters.ranking.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"django", "celery", "redis", "rest_framework", "evalhub", "torch"} & set(modules.split())
