"""docs/operator.md: its settings are all of them, and its shell blocks run as printed, in order, on a live system."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.blocks import blocks
from tests.systems import SOURCE, System, running

PAGE = SOURCE / "docs" / "operator.md"
# Names that `evalhub.run` reads beside those of the settings.
OF_RUN = {"PORT", "BIND", "EVALHUB_DEMO"}
USERS = "from django.contrib.auth import get_user_model as model; users = model().objects; "
STUDIES = "from evalhub.studies.models import Study; Study.objects."


def test_it_lists_every_setting_and_no_other() -> None:
    source = (SOURCE / "evalhub" / "settings.py").read_text()
    known = set(re.findall(r"\benv\.\w+\(\s*\"([A-Z_]+)\"", source)) | OF_RUN
    table = PAGE.read_text().partition("## Every setting")[2]
    assert set(re.findall(r"^\| `([A-Z_]+)` (?:† )?\|", table, re.MULTILINE)) == known


def run_block(block: str, system: System, folder: Path, weights: Path) -> None:
    environment = {**system.environment, "BACKUP": str(folder), "EVALHUB_WEIGHTS": str(weights)}
    done = subprocess.run(
        ["sh", "-eu", "-c", block],
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_its_commands_run_and_its_backup_restores_into_an_empty_home(
    live: System, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kept = pytestconfig.cache.mkdir("weights")  # where the tests of the metrics keep them too
    looks, features, quota, weights, backup, restore, moving = blocks("docs/operator.md", "sh")
    live.manage("shell", "-c", USERS + "users.create_user(username='in-the-backup', password='p')")
    (live.home / "media").mkdir(exist_ok=True)
    (live.home / "media" / "a picture").write_bytes(b"pixels")
    live.manage("shell", "-c", STUDIES + "create(slug='demo', name='It moved')")
    for block in (looks, features, quota, weights, backup):
        run_block(block, live, tmp_path, kept)
    run_block(moving, live, tmp_path, kept)
    assert "It moved" in live.manage("shell", "-c", "print(Study.objects.get(slug='demo').name)")
    live.manage("delete_study", "demo", "--confirm", "demo")
    with running() as empty:
        run_block(restore, empty, tmp_path, kept)
        assert "in-the-backup" in empty.manage("shell", "-c", USERS + "print(users.get(username='in-the-backup'))")
        assert (empty.home / "media" / "a picture").read_bytes() == b"pixels"
        assert (empty.home / "secret-key").read_text() == (live.home / "secret-key").read_text()
