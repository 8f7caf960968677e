"""What is taken home: the same figures in every form, and nothing in it that runs."""

import csv
import io
import json

import pyarrow.parquet as parquet
import pytest
from django.test import Client

from evalhub.client.sheet import write_rows
from evalhub.leaderboard.downloads import as_latex
from evalhub.leaderboard.downloads.latex import escaped
from evalhub.leaderboard.tables import leaderboard
from tests.leaderboard.conftest import Scene

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "+1",
    "-2",
    "\\input{/etc/passwd}",
    "a_b%c&d$e#f{g}^h~i",
    '<script>"x"</script>',
]


@pytest.fixture
def board(scene: Scene, client: Client) -> Client:
    scene.fit(simulated_votes=20)
    for checkpoint, value in zip(scene.checkpoints, (30.0, 20.0, 10.0), strict=True):
        scene.score(checkpoint, "fid", value, low=value - 1, high=value + 1)
    client.force_login(scene.vera)
    return client


def taken(client: Client, kind: str) -> bytes:
    reply = client.get(f"/studies/photographs/leaderboard.{kind}")
    assert reply["Content-Disposition"] == f'attachment; filename="photographs-leaderboard.{kind}"'
    return reply.content


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_harmless_in_every_form(scene: Scene, board: Client, name: str) -> None:
    first = scene.checkpoints[0]
    first.name = first.family = first.gpu = name
    first.save()
    for line in csv.reader(io.StringIO(taken(board, "csv").decode())):
        assert not any(cell.startswith(("=", "+", "@")) for cell in line)
        assert not any(cell.startswith("-") and not cell[1:2].isdigit() for cell in line)
    assert json.loads(taken(board, "json"))["rows"][0]["checkpoint"] == name
    assert parquet.read_table(io.BytesIO(taken(board, "parquet")))["checkpoint"][0].as_py() == name
    tex = taken(board, "tex").decode()
    assert "\\input" not in tex
    assert escaped(name) in tex
    svg = board.get("/studies/photographs/leaderboard.svg").content.decode()
    assert "<script" not in svg


def test_latex_leaves_no_special_letter_as_it_is() -> None:
    assert escaped("a_b%") == r"a\_b\%"
    assert escaped("\\") == r"\textbackslash{}"
    assert escaped("line\nbreak\x00") == "line break "


def test_latex_is_a_whole_table(scene: Scene, board: Client) -> None:
    tex = as_latex(leaderboard(study=scene.study, columns=["rating", "win_rate", "fid:aaaaaaaa"]))
    rows = tex[tex.index("\\midrule") : tex.index("\\bottomrule")].strip().splitlines()[1:]
    assert len(rows) == 3
    assert all(row.count("&") == 4 for row in rows)
    assert rows[0] == r"1--2 & plain & $1540$ [$1500$, $1580$] & 50\% & $30.00$ [$29.00$, $31.00$] \\"
    assert "20 of them simulated" in tex


def test_parquet_has_types_and_says_which_ranking_it_is(scene: Scene, board: Client) -> None:
    table = parquet.read_table(io.BytesIO(taken(board, "parquet")))
    assert str(table.schema.field("rating").type) == "double"
    assert str(table.schema.field("comparisons").type) == "int64"
    assert table["fid:aaaaaaaa"].to_pylist() == [30.0, 20.0, 10.0]
    about = json.loads(table.schema.metadata[b"evalhub"])
    assert about["fit"] == str(scene.study.fits.get().pk)


def test_the_site_and_the_client_write_the_same_sheet(scene: Scene, board: Client) -> None:
    scene.score(scene.checkpoints[0], "lpips", 0.5)
    written = io.StringIO(newline="")
    write_rows(written, board.get("/api/v1/studies/photographs/leaderboard/").json())
    assert written.getvalue() == taken(board, "csv").decode()
