"""README.md and the pages that go on from its tour: what they have a newcomer type, on a running system."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blocks import blocks
from tests.submitting import picture
from tests.systems import SOURCE, System, clean_environment

# The tour's study, with the first two of its prompts and no contestant yet.
SMALL_DEMO = """
import json, tempfile
from pathlib import Path
from evalhub.studies import services
from evalhub.studies.demo.studies import STUDIES
from evalhub.studies.models import User
demo = STUDIES[0]
user = User.objects.create_user("researcher-of-the-tour", password="a pass phrase for tests")
study = services.create_study(slug="demo", name=demo.name, actor=user)
for prompt in demo.prompts()[:2]:
    file = Path(tempfile.mkdtemp()) / f"{prompt.key}.{demo.extension.lstrip('.')}"
    file.write_bytes(prompt.reference())
    reference = services.store_media(study=study, path=file)
    services.add_prompt(study=study, key=prompt.key, text=prompt.caption, reference=reference, actor=user)
services.publish_study(study=study, actor=user)
print(json.dumps([prompt.key for prompt in study.prompts.all()]))
"""


@pytest.fixture
def demo(live: System) -> Iterator[list[str]]:
    """The keys of the prompts of a small demo study."""
    yield json.loads(live.manage("shell", "-v", "0", "-c", SMALL_DEMO).splitlines()[-1])
    live.manage("delete_study", "demo", "--confirm", "demo")


def sh(commands: str, folder: Path, said: str = "", **settings: str) -> str:
    """Run commands as a newcomer types them in the checkout; `said` is what she is asked for."""
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        cwd=folder,
        env={**clean_environment(), **settings},
        input=said,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        start_new_session=True,  # without a terminal, a password is read like anything else
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tour_from_a_sixth_contestant_to_votes(live: System, demo: list[str], tmp_path: Path) -> None:
    tour, _ = blocks("README.md", "sh")
    tour = tour.replace("/tmp/", f"{tmp_path}/").replace("http://127.0.0.1:8000", live.url)
    tour = tour.replace("--username researcher", "--username researcher-of-the-tour")
    make, *submit = tour.splitlines()
    assert "97 outputs of hamming" in sh(make, SOURCE)
    (program,) = blocks("docs/demo.md", "python")
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    for file in (*(tmp_path / "hamming").iterdir(),):
        if file.stem not in demo:  # this study is smaller than the tour's
            file.unlink()
    home = {"XDG_CONFIG_HOME": str(tmp_path / "configuration")}
    said = sh("\n".join(submit), SOURCE, said="a pass phrase for tests\n", **home)
    assert "Complete: 2 files have arrived, all in order." in said
    assert "LPIPS" in said or "lpips" in said
    sh(submit[-1].replace("hamming ", "again ", 1).replace(" --wait", ""), SOURCE, **home)
    (simulate,) = blocks("docs/annotator.md", "sh")
    assert "12 simulated raters answered 24 pairs of demo." in sh(simulate, SOURCE, **live.environment)


def test_the_engines_on_plain_files(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    (tmp_path / ".venv").symlink_to(SOURCE / ".venv")
    (tmp_path / "votes.csv").write_text("left,right,outcome\na,b,left\nb,a,right\nb,a,left\na,b,tie\n")
    for folder in ("outputs", "originals"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            content = picture(number + len(folder), size=(64, 64))
            (tmp_path / folder / f"{number}.png").write_bytes(content)
    _, engines = blocks("README.md", "sh")
    kept = {"PYTHONPATH": str(SOURCE), "EVALHUB_WEIGHTS": str(pytestconfig.cache.mkdir("weights"))}
    ranked, scored = (sh(command, tmp_path, **kept) for command in engines.splitlines())
    assert {row["name"] for row in json.loads(ranked)["ratings"]} == {"a", "b"}
    assert {score["metric"] for score in json.loads(scored)["scores"]} == {"fid", "lpips"}
