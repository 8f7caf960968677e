"""docs/researcher.md: its shell blocks run as printed, in order and in one shell, and so does its Python."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.blocks import blocks
from tests.client.conftest import Desk
from tests.client.test_shards import shard
from tests.submitting import picture


def test_its_commands_and_its_program_run(desk: Desk, outputs: Path) -> None:
    folder = outputs.parent
    (facts,) = blocks("docs/researcher.md", "toml")
    (folder / "facts.toml").write_text(facts)
    programs = []
    for number, program in enumerate(blocks("docs/researcher.md", "python")):
        programs.append(folder / f"program-{number}.py")
        programs[-1].write_text(program)
    (folder / "shards").mkdir()
    for number, keys in enumerate((("cat", "dog"), ("tree",))):
        members = {f"{key}.png": picture(int.from_bytes(os.urandom(4)), size=(64, 64)) for key in keys}
        shard(folder / "shards" / f"part-{number:03}.tar", members)
    environment = {
        **os.environ,
        "PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"],
        "XDG_CONFIG_HOME": str(desk.home),
        "EVALHUB_URL": desk.system.url,
        "EVALHUB_TOKEN": desk.token,
        "PASSWORD": "correct-horse",
    }
    shell = ["sh", "-eu", "-c", "\n".join(blocks("docs/researcher.md", "sh"))]
    for command in (shell, *([sys.executable, str(file)] for file in programs)):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Complete: 3 files have arrived, all in order." in done.stdout
    assert (folder / "leaderboard.csv").read_text().startswith("checkpoint,")
    with desk.client() as site:
        found = {(row["checkpoint"]["name"], row["checkpoint"]["step"]): row for row in site.submissions("faces")}
    for contestant in (("flow", 2000), ("flow", 3000), ("flow", 4000), ("sampler", 1), ("by-hand", None)):
        assert found[contestant]["state"] == "complete"
    assert found["flow", 2000]["checkpoint"]["latency_p95"] == 2.4


def test_its_manifest_is_one(tmp_path: Path) -> None:
    from evalhub.client import find

    (manifest,) = blocks("docs/researcher.md", "csv")
    (tmp_path / "manifest.csv").write_text(manifest)
    (tmp_path / "run-7").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "run-7" / f"{number:05}.png").touch()
    assert [output.prompt for output in find(tmp_path).outputs] == ["cat", "dog", "tree"]
