"""Recruitments for tests, and people who come by them."""

from typing import Any
from urllib.parse import urlencode

from django.test import Client

from evalhub.studies.models import Role, User
from raters.models import Recruitment, Visit
from raters.services.recruiting import open_recruitment
from tests.raters.conftest import Desk, owner_of

PID, PROLIFIC_STUDY, SESSION = "5f1e0c2ab9d84e0012345678", "64b0c1d2e3f4a5b6c7d8e9f0", "65aa00112233445566778899"
SUBMIT_TO = "https://workersandbox.mturk.com"


def way_in(desk: Desk, platform: str, name: str = "autumn", comparisons: int | None = 2, **codes: str) -> Recruitment:
    actor = User.objects.filter(memberships__study=desk.study, memberships__role=Role.OWNER).first() or owner_of(desk)
    return open_recruitment(
        study=desk.study, platform=platform, name=name, actor=actor, comparisons=comparisons, **codes
    )


def from_prolific(recruitment: Recruitment, pid: str = PID, session: str = SESSION, study: str = PROLIFIC_STUDY) -> str:
    """The address as Prolific opens it."""
    numbers = {"PROLIFIC_PID": pid, "STUDY_ID": study, "SESSION_ID": session}
    return f"/take-part/{recruitment.token}/?{urlencode(numbers)}"


def from_mturk(
    recruitment: Recruitment,
    worker: str = "A2WORKER",
    hit: str = "3HIT",
    assignment: str = "3ASSIGNMENT",
    submit_to: str = SUBMIT_TO,
) -> str:
    """The address as Mechanical Turk puts it into its frame."""
    numbers = {"workerId": worker, "hitId": hit, "assignmentId": assignment, "turkSubmitTo": submit_to}
    return f"/take-part/{recruitment.token}/?{urlencode(numbers)}"


def begin(client: Client, base: str = "/rate/study/") -> None:
    """Agree to the consent text, and begin."""
    assert client.post(f"{base}consent/", {"agreed": "on", "version": "1"}).status_code == 302
    assert client.post(f"{base}begin/").status_code == 302


def answer(client: Client, visit: Visit, times: int = 1, base: str = "/rate/study/") -> list[Any]:
    """Answer so many pairs by plain forms; the answers' responses."""
    from raters import services

    responses = []
    for _ in range(times):
        comparison = services.next_comparison(study=visit.recruitment.study, rater=visit.enrolment.rater)
        assert comparison is not None
        revision = str(services.next_revision(comparison))
        sent = {"comparison": comparison.token, "revision": revision, "answer.quality": "left"}
        responses.append(client.post(f"{base}vote/", sent, headers={"HX-Request": "true"}))
    return responses
