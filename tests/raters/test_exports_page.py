"""docs/exports.md and docs/recruiting.md: what they have programs do, as printed, against a running site."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, User
from evalhub.studies.services import create_token
from raters import services
from tests.blocks import blocks
from tests.raters.ballots import load, noisy, people, vote_on_all
from tests.raters.conftest import make_desk
from tests.systems import SOURCE


@pytest.mark.django_db(transaction=True)
def test_a_dataset_is_fetched_loaded_and_trained_on(live_server: LiveServer, tmp_path: Path) -> None:
    desk = make_desk("portraits", prompts=8)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    vote_on_all(load(desk), people(desk, 3), noisy(1))
    user = User.objects.create_user("researcher")
    Membership.objects.create(study=desk.study, user=user, role=Role.RESEARCHER)
    environment = {
        **os.environ,
        "EVALHUB_URL": live_server.url,
        "EVALHUB_TOKEN": create_token(user=user, name="page", scope="read")[1],
        "HF_HOME": str(tmp_path / "hub"),
        "PYTHONPATH": str(SOURCE),
    }
    fetch, train = blocks("docs/exports.md", "python")
    (card,) = blocks("docs/exports.md", "sh")
    said = ""
    for program in ([sys.executable, "-c", fetch], ["sh", "-eu", "-c", card], [sys.executable, "-c", train]):
        done = subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout
    first, second = (line.split() for line in said.splitlines()[-2:])
    assert int(first[1]) > 0
    assert float(second[2]) < float(first[2])
    assert (tmp_path / "votes.csv").read_text().count("\n") > 50
    taken = [entry.subject for entry in desk.study.log.filter(verb="took export", actor=user).order_by("id")]
    assert taken == ["preferences.parquet", "preferences.parquet", "votes.csv"]


@pytest.mark.django_db(transaction=True)
def test_a_way_in_is_made_by_a_program(live_server: LiveServer) -> None:
    study = make_desk("portraits").study
    owner = User.objects.create_user("owner")
    Membership.objects.create(study=study, user=owner, role=Role.OWNER)
    token = create_token(user=owner, name="page")[1]
    settings = {"EVALHUB_URL": live_server.url, "EVALHUB_TOKEN": token, "STUDY": "portraits"}
    (commands,) = blocks("docs/recruiting.md", "sh")
    done = subprocess.run(
        ["sh", "-eu", "-c", commands],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (way,) = study.recruitments.all()
    assert (way.name, way.platform, way.comparisons) == ("autumn", "prolific", 50)
    assert done.stdout.count('"address"') == 2
