"""The log as its readers find it: sentences, what is asked of it, pages, a sheet, and who may read it."""

import csv
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.log_lines import line_of
from evalhub.studies.models import LogEntry, Role, User
from evalhub.studies.services import CheckpointFacts, Question
from tests.submitting import Scene, promised

LOG, SHEET = "study_log", "study_log_sheet"
HOSTILE = '"><script>alert(1)</script>'
ESCAPED = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture
def ada(client: Client, scene: Scene) -> User:
    client.force_login(scene.ada)
    return scene.ada


def newest(scene: Scene) -> tuple[str, str]:
    """Who did what last, as the page says it."""
    line = line_of(scene.study.log.select_related("actor")[0])
    return line.who, line.sentence


def rows(client: Client, scene: Scene, **asked: str) -> list[dict[str, str]]:
    response = client.get(reverse(SHEET, args=["faces"]), asked)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def test_each_deed_is_a_sentence_with_what_was_before(scene: Scene) -> None:
    study, ada, ben = scene.study, scene.ada, scene.ben
    services.change_role(study=study, user=ben, role=Role.VIEWER, actor=ada)
    assert newest(scene) == ("ada-faces", "made ben-faces viewer, before that researcher")
    services.change_role(study=study, user=ben, role=Role.RESEARCHER, actor=ada)
    services.change_study(study=study, actor=ada, name="Portraits", vote_budget=10)
    assert newest(scene) == ("ada-faces", "changed name, vote budget")
    (line,) = [line_of(entry) for entry in study.log.all()[:1]]
    assert line.changes == (("name", "Faces", "Portraits"), ("vote budget", "none", "10"))
    services.set_quota(study=study, quota_bytes=2_000_000, actor=None)
    (line,) = [line_of(entry) for entry in study.log.all()[:1]]
    assert (line.who, line.sentence, line.changes) == ("", "set the quota", (("", "none", "2,000,000"),))
    services.set_criteria(study=study, questions=[Question("Look", "Which looks better?")], actor=ada)
    (line,) = [line_of(entry) for entry in study.log.all()[:1]]
    assert line.changes == (("", "Quality: Which picture is better?", "Look: Which looks better?"),)
    made, _ = services.create_token(user=ben, name="cluster", scope="read", study=study)
    assert newest(scene) == ("ben-faces", "made the API token “cluster”, scope read")
    services.revoke_token(token=made)
    assert newest(scene) == ("ben-faces", "revoked the API token “cluster”, scope read")
    invite, token = services.create_invite(study=study, role=Role.RESEARCHER, actor=ada, max_uses=3)
    assert newest(scene) == ("ada-faces", f"made invite {invite.pk}, for the role researcher")
    services.accept_invite(token=token, user=scene.ria)
    (line,) = [line_of(entry) for entry in study.log.select_related("actor")[:1]]
    assert (line.who, line.sentence) == ("ria-faces", f"came by invite {invite.pk}, as researcher")
    assert line.notes == (("before", "rater"),)


def test_a_submission_from_its_first_promise_to_its_withdrawal(scene: Scene) -> None:
    submission = scene.submit(scene.outputs(), name="flow")
    services.receive_manifest(
        study=scene.study,
        actor=scene.ben,
        checkpoint=CheckpointFacts(name="flow", gpu="A100"),
        files=[promised(path, content) for path, content in scene.outputs().items()],
    )
    services.withdraw_checkpoint(checkpoint=submission.checkpoint, actor=scene.ada, reason="trained on the test set")
    services.restore_checkpoint(checkpoint=submission.checkpoint, actor=scene.ada)
    said = [line_of(entry).sentence for entry in scene.study.log.all()[:6]]
    assert said == [
        "restored flow to the running",
        "withdrew flow from the running: trained on the test set",
        "changed facts about flow: gpu",
        "completed the submission of flow, 3 samples",
        "promised 3 files of flow",
        "began the submission of flow",
    ]


def test_it_is_narrowed_by_person_kind_and_day(client: Client, scene: Scene, ada: User) -> None:
    scene.submit(scene.outputs(), name="flow")
    services.close_study(study=services.publish_study(study=scene.study, actor=ada))
    everything = rows(client, scene)
    assert len(everything) == scene.study.log.count()
    assert {row["who"] for row in everything} == {"ada-faces", "ben-faces", ""}
    of_ben = rows(client, scene, who=str(scene.ben.pk))
    assert [row["verb"] for row in of_ben] == ["completed submission", "received manifest", "began submission"]
    assert rows(client, scene, kind="submissions") == of_ben
    assert [row["verb"] for row in rows(client, scene, who="-")] == ["closed study"]
    LogEntry.objects.filter(verb="added prompt").update(at=timezone.now() - timedelta(days=3))
    yesterday = (timezone.localdate() - timedelta(days=1)).isoformat()
    assert len(rows(client, scene, since=yesterday)) == len(everything) - 3
    text = client.get(reverse(LOG, args=["faces"]), {"kind": "submissions"}).text
    assert "completed the submission of flow, 3 samples" in text
    assert "made the study" not in text


def test_nothing_found_and_nothing_understood(client: Client, scene: Scene, ada: User) -> None:
    page = reverse(LOG, args=["faces"])
    tomorrow = (timezone.localdate() + timedelta(days=1)).isoformat()
    assert "Nothing in the log is of that kind" in client.get(page, {"since": tomorrow}).text
    for wrong in ({"since": "soon"}, {"who": "99999999"}, {"kind": "gossip"}, {"who": "\0"}):
        assert client.get(page, wrong).status_code == 422
        refused = client.get(reverse(SHEET, args=["faces"]), wrong)
        assert (refused.status_code, refused.headers["Content-Type"]) == (422, "text/plain; charset=utf-8")
    scene.study.log.all().delete()
    assert "Nothing has been logged yet." in client.get(page).text


def test_it_comes_in_pages_that_keep_what_was_asked(client: Client, scene: Scene, ada: User) -> None:
    entry = {"study": scene.study, "actor": ada, "verb": "added prompt"}
    LogEntry.objects.bulk_create(LogEntry(**entry, subject=f"p{number}") for number in range(205))
    first = client.get(reverse(LOG, args=["faces"]), {"kind": "prompts"}).text
    assert "added the prompt p204" in first
    assert "added the prompt p104" not in first
    assert "?kind=prompts&amp;page=2" in first
    last = client.get(reverse(LOG, args=["faces"]), {"kind": "prompts", "page": "3"}).text
    assert "added the prompt p0<" in last
    assert len(rows(client, scene, kind="prompts", page="3")) == 208  # a sheet is whole


def test_what_strangers_wrote_runs_nowhere(client: Client, scene: Scene, ada: User) -> None:
    LogEntry.write(study=scene.study, actor=ada, verb="noted", subject=HOSTILE, reason=HOSTILE)
    LogEntry.write(study=scene.study, actor=ada, verb="added prompt", subject="=1+2", **{"{subject}": "{x}"})
    text = client.get(reverse(LOG, args=["faces"])).text
    assert text.count(ESCAPED) == 2
    assert HOSTILE not in text
    assert rows(client, scene)[0]["subject"] == "'=1+2"


def test_the_sites_own_log_is_for_administrators(client: Client, scene: Scene) -> None:
    services.create_token(user=scene.ben, name="everywhere")
    for who, status in ((scene.ada, 403), (scene.ria, 403), (None, 302)):
        client.logout()
        if who is not None:
            client.force_login(who)
        for name in ("site_log", "site_log_sheet"):
            assert client.get(reverse(name)).status_code == status
    client.force_login(User.objects.create_superuser("root", password="a pass phrase for tests"))
    text = client.get(reverse("site_log")).text
    assert "made the API token “everywhere”, scope submit" in text
    assert "made the study" not in text
    assert client.get(reverse("site_log_sheet")).headers["Content-Disposition"].endswith('"site-log.csv"')
