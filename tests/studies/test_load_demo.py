"""The demo study goes in through the front door, and goes on where a kill -9 stopped it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from django.core.management import call_command
from pytest_django import Settings

from evalhub.studies.demo.studies import STUDIES
from evalhub.studies.models import Media, Membership, Sample, Study, Submission, User
from tests.systems import SOURCE

FEW = ["--prompts", "3"]


@pytest.mark.django_db(transaction=True)
def test_the_demo_loads_resumes_and_stays(settings: Settings) -> None:
    # The command in a process of its own hashes passwords as the site does.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    database = settings.DATABASES["default"]["NAME"]
    environment = {**os.environ, "DATABASE_URL": os.environ["DATABASE_URL"].replace("/evalhub?", f"/{database}?")}
    first = subprocess.Popen([sys.executable, str(SOURCE / "manage.py"), "load_demo", *FEW], env=environment)
    deadline = time.monotonic() + 120
    while not Submission.objects.filter(entries__state="received").exists():
        assert first.poll() is None, "load_demo ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    logins = settings.HOME / "demo-logins.json"
    before = logins.read_text()
    try:
        call_command("load_demo", *FEW)
        assert logins.read_text() == before
        assert logins.stat().st_mode & 0o777 == 0o600
        for name, password in json.loads(before).items():
            assert User.objects.get(username=name).check_password(password)
    finally:
        logins.unlink()
    for demo in STUDIES:
        study = Study.objects.get(slug=demo.slug)
        assert (study.state, study.is_demo) == ("open", True)
        assert study.prompts.count() == 3
        assert study.prompts.filter(reference=None).count() == 0
        complete = study.checkpoints.filter(submission__state="complete")
        assert {checkpoint.name for checkpoint in complete} == set(demo.contestants)
        assert Sample.objects.filter(checkpoint__study=study).count() == 3 * len(demo.contestants)
        assert all(checkpoint.latency_p50 and checkpoint.gpu for checkpoint in study.checkpoints.all())
        raters = Membership.objects.filter(study=study, role="rater").values_list("user__username", flat=True)
        assert set(raters) == {"rater1", "rater2"}
    assert Study.objects.get(slug="demo").works_without_javascript
    videos = Media.objects.filter(study__slug="demo-video")
    assert set(videos.values_list("kind", flat=True)) == {"video"}
    assert set(videos.values_list("codec", flat=True)) == {"vp8", "h264", "vp9", "hevc", "av1"}
    media = Media.objects.count()
    call_command("load_demo", *FEW)
    assert Media.objects.count() == media
