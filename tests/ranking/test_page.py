"""The commands and the program in docs/ranking.md do what the page says."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from raters.ranking.__main__ import main
from tests.blocks import blocks
from tests.systems import SOURCE

COMMANDS = [line for block in blocks("docs/ranking.md", "sh") for line in block.splitlines()]


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text(blocks("docs/ranking.md", "csv")[0])
    program, *arguments = shlex.split(command)[2:]
    assert program == "raters.ranking"
    assert main(arguments) == 0
    assert "lanczos" in capsys.readouterr().out


@pytest.mark.parametrize("program", blocks("docs/ranking.md", "python"))
def test_programs(program: str, tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text(blocks("docs/ranking.md", "csv")[0])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "lanczos" in done.stdout
