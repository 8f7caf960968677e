"""docs/researcher.md: its shell blocks run as printed, in order and in one shell, and so does its Python."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.client.conftest import Desk
from tests.systems import SOURCE

PAGE = SOURCE / "docs" / "researcher.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_its_commands_and_its_program_run(desk: Desk, outputs: Path) -> None:
    folder = outputs.parent
    (facts,) = blocks("toml")
    (folder / "facts.toml").write_text(facts)
    (program,) = blocks("python")
    (folder / "program.py").write_text(program)
    environment = {
        **os.environ,
        "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"],
        "XDG_CONFIG_HOME": str(desk.home),
        "EVALHUB_URL": desk.system.url,
        "EVALHUB_TOKEN": desk.token,
        "PASSWORD": "correct-horse",
    }
    for command in (["sh", "-eu", "-c", "\n".join(blocks("sh"))], [sys.executable, "program.py"]):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Complete: 3 files have arrived, all in order." in done.stdout
    assert (folder / "leaderboard.csv").read_text().startswith("checkpoint,")
    with desk.client() as site:
        found = {(row["checkpoint"]["name"], row["checkpoint"]["step"]): row for row in site.submissions("faces")}
    for contestant in (("flow", 2000), ("flow", 4000), ("by-hand", None)):
        assert found[contestant]["state"] == "complete"
    assert found["flow", 2000]["checkpoint"]["latency_p95"] == 2.4


def test_its_manifest_is_one(tmp_path: Path) -> None:
    from evalhub.client import find

    (manifest,) = blocks("csv")
    (tmp_path / "manifest.csv").write_text(manifest)
    (tmp_path / "run-7").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "run-7" / f"{number:05}.png").touch()
    assert [output.prompt for output in find(tmp_path).outputs] == ["cat", "dog", "tree"]
