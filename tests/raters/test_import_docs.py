"""The commands that docs/owner.md names for votes and references from elsewhere, run as they stand there."""

import io
import shlex
from pathlib import Path

import pytest
from django.core.management import call_command

from evalhub.studies.models import Study
from metrics.models import Reference
from raters.models import Vote
from tests.blocks import blocks
from tests.raters.conftest import Desk, noise, png


def test_votes_and_references_come_from_elsewhere(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Study.objects.filter(pk=desk.study.pk).update(slug="faces")
    lines = ["left,right,outcome,prompt", "Alpha,Beta,left,prompt-0", "Alpha,Beta,left,prompt-9"]
    (tmp_path / "votes.csv").write_text("\n".join(lines))
    (tmp_path / "real").mkdir()
    for number in range(2):
        (tmp_path / "real" / f"{number}.png").write_bytes(png(noise(number, 9)))
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks("docs/owner.md", "sh")
    for command in commands.splitlines():
        python, manage, *asked = shlex.split(command)
        assert (python, manage) == (".venv/bin/python", "manage.py")
        call_command(*asked, stdout=io.StringIO())
    assert Vote.objects.count() == 1
    assert Reference.objects.get(name="Real faces").licence == "CC BY 4.0"
