"""Importing votes on the owner's page and by the command: looked at first, refused to others, taken back."""

import io
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from evalhub.studies.models import Membership, Role, User
from raters.models import Enrolment, Vote, VoteFile, VoteImport
from raters.services.import_progress import Progress
from raters.services.importing import FINDING
from raters.services.vote_uploads import work_on_vote_file
from tests.raters.conftest import Desk

HOSTILE = "<script>alert(1)</script>"
CSV = "left,right,outcome,rater,prompt\nAlpha,Beta,left,a,prompt-0\nBeta,Gamma,tie,a,prompt-1\n"


def page(desk: Desk) -> str:
    return reverse("vote_imports", args=[desk.study.slug])


def chosen(text: str = CSV, name: str = "Pilot") -> dict[str, object]:
    return {"name": name, "file": SimpleUploadedFile("votes.csv", text.encode())}


def send(desk: Desk, owner: Client, text: str = CSV, **options: str) -> str:
    """The address of a file's page, once a worker has looked at it."""
    answer = owner.post(page(desk), {**chosen(text), **options})
    assert answer.status_code == 302, answer.text
    work()
    return answer.headers["Location"]


def work() -> None:
    """What the worker does, to every file."""
    for each in VoteFile.objects.select_related("study"):
        work_on_vote_file(vote_file=each)


def test_a_file_is_looked_at_first_and_then_imported(desk: Desk, owner: Client) -> None:
    address = send(desk, owner, CSV + f"Alpha,{HOSTILE},left,a,prompt-0\n")
    looked = owner.get(address)
    assert "Import 2 votes and leave 1 out" in looked.text
    assert "Line 4: The study has no checkpoint “&lt;script&gt;" in looked.text
    assert HOSTILE not in looked.text
    assert not Vote.objects.exists()
    adding = owner.post(address, follow=True)
    assert "Adding its votes" in adding.text
    assert 'hx-trigger="every 1s"' in adding.text
    assert owner.post(address).status_code == 302  # a second click
    work()
    done = owner.get(address, headers={"HX-Request": "true"})
    assert "2 votes were added" in done.text
    assert "<html" not in done.text
    assert "hx-trigger" not in done.text
    assert Vote.objects.count() == 2
    assert '<span class="badge done">Added</span>' in owner.get(page(desk)).text
    again = owner.post(address)
    assert again.status_code == 409
    assert "send it again" in again.text


def test_a_file_under_way_shows_how_far_it_is_and_can_be_cancelled(desk: Desk, owner: Client) -> None:
    address = owner.post(page(desk), chosen()).headers["Location"]
    assert "Waiting for a worker" in owner.get(address).text
    waiting = VoteFile.objects.get()
    Progress(waiting).tell(FINDING, 0, 120_000)
    shown = owner.get(address).text
    assert "Finding the outputs: 0 of 120,000 lines; about " in shown
    assert " s left" in shown
    assert "Nothing of it was added" in owner.post(address, {"cancel": "1"}, follow=True).text
    work()
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert owner.post(address, {"cancel": "1"}).status_code == 409


def test_two_tabs_with_the_same_file_are_one(desk: Desk, owner: Client) -> None:
    addresses = {owner.post(page(desk), chosen()).headers["Location"] for _ in range(2)}
    assert len(addresses) == 1


def test_an_import_is_taken_back_and_put_back(desk: Desk, owner: Client) -> None:
    owner.post(send(desk, owner))
    work()
    change = reverse("vote_import_change", args=[desk.study.slug, VoteImport.objects.get().pk])
    assert owner.post(change, {"reason": ""}).status_code == 422
    assert "no longer count" in owner.post(change, {"reason": HOSTILE}, follow=True).text
    assert HOSTILE not in owner.get(page(desk)).text
    assert Enrolment.objects.exclude(excluded_at=None).count() == 1
    assert "count again" in owner.post(change, {"again": "1"}, follow=True).text
    assert not Enrolment.objects.exclude(excluded_at=None).exists()


def test_what_cannot_be_read_is_said(desk: Desk, owner: Client) -> None:
    assert owner.post(page(desk), {"name": "Pilot"}).status_code == 422
    answer = owner.post(page(desk), chosen("nothing"))
    assert answer.status_code == 422
    assert "must name the columns" in answer.text
    broken = send(desk, owner, CSV + '"' + "x" * 200_000)
    assert "The file is no CSV table at line 4" in owner.get(broken).text


@pytest.mark.parametrize(("role", "status"), [("researcher", 403), ("viewer", 403), ("rater", 403), ("", 404)])
def test_only_owners_import(desk: Desk, owner: Client, role: str, status: int) -> None:
    file = send(desk, owner)
    owner.post(file)
    work()
    change = reverse("vote_import_change", args=[desk.study.slug, VoteImport.objects.get().pk])
    user, client = User.objects.create_user("somebody"), Client()
    if role:
        Membership.objects.create(study=desk.study, user=user, role=Role(role))
    client.force_login(user)
    asked = [client.get(page(desk)), client.post(page(desk), chosen(name="B")), client.post(change, {"reason": "x"})]
    asked += [client.get(file), client.post(file), client.post(file, {"cancel": "1"})]
    assert [answer.status_code for answer in asked] == [status] * 6
    assert not VoteImport.objects.exclude(taken_back_at=None).exists()
    assert VoteFile.objects.count() == 1


def test_the_command_says_what_comes_in(desk: Desk, tmp_path: Path) -> None:
    path, out = tmp_path / "votes.csv", io.StringIO()
    path.write_text(CSV + "Alpha,Delta,left,a,prompt-0\n")
    call_command("import_votes", desk.study.slug, path, "--name", "Pilot", "--dry-run", stdout=out)
    assert "2 of 3 lines are votes to import" in out.getvalue()
    assert "  Line 4: The study has no checkpoint “Delta”" in out.getvalue()
    with pytest.raises(CommandError, match="1 of 3 lines cannot be placed"):
        call_command("import_votes", desk.study.slug, path, "--name", "Pilot", stdout=out)
    assert not Vote.objects.exists()
    call_command("import_votes", desk.study.slug, path, "--name", "Pilot", "--leave-out", stdout=out)
    assert f"Imported 2 votes of 1 raters to {desk.study.slug}." in out.getvalue()
    for wrong in (["nowhere", path], [desk.study.slug, tmp_path / "none.csv"]):
        with pytest.raises(CommandError):
            call_command("import_votes", *wrong, "--name", "Pilot", stdout=out)


class TestByProgram:
    def test_a_file_is_looked_at_imported_and_taken_back(self, desk: Desk, owner: Client) -> None:
        address = f"/api/v1/studies/{desk.study.slug}/vote-imports/"
        wrong, kind = CSV + "Alpha,Delta,left,a,prompt-0\n", "application/json"
        received = owner.post(address, {**chosen(wrong), "dry_run": "true"})
        assert received.status_code == 202, received.text
        file = received.json()["address"].removeprefix(settings.SITE_URL)
        assert received.headers["Location"] == received.json()["address"]
        assert [owner.get(file).json()[name] for name in ("state", "report", "progress")] == ["looking", None, None]
        assert owner.post(f"{file}adding/", {}, content_type=kind).status_code == 409
        work()
        looked = owner.get(file).json()
        assert looked["state"] == "ready"
        report = looked["report"]
        assert [report[name] for name in ("lines", "votes", "raters", "known", "left_out")] == [3, 2, 1, 0, 1]
        assert report["refused"][0]["named"][0].startswith("Line 4: The study has no checkpoint “Delta”")
        assert owner.post(f"{file}adding/", {"leave_out": True}, content_type=kind).status_code == 202
        work()
        assert owner.get(file).json()["state"] == "added"
        assert owner.post(f"{file}cancelling/").status_code == 409
        (listed,) = owner.get(address).json()["results"]
        assert (listed["group"], listed["votes"], listed["refused"]) == ("imported: Pilot", 2, 1)
        back = f"{address}{listed['id']}/taking-back/"
        assert owner.post(back, {"reason": "Wrong."}, content_type=kind).json()["taken_back_because"] == "Wrong."
        assert owner.post(back, {"reason": "Wrong."}, content_type=kind).status_code == 409
        for said, number in (("true", 1), ("false", 0)):
            assert len(owner.get(f"{address}?taken_back={said}").json()["results"]) == number
        assert owner.post(back, {"reason": ""}, content_type=kind).json()["taken_back_at"] is None

    def test_one_step_refuses_what_has_no_place(self, desk: Desk, owner: Client) -> None:
        address = f"/api/v1/studies/{desk.study.slug}/vote-imports/"
        assert owner.post(address, chosen("nothing")).status_code == 422
        owner.post(address, chosen(CSV + "Alpha,Delta,left,a,prompt-0\n"))
        cancelled = owner.post(address, chosen(name="Other")).json()["address"].removeprefix(settings.SITE_URL)
        assert owner.post(f"{cancelled}cancelling/").json()["state"] == "cancelled"
        work()
        (refused,) = owner.get(f"{address}files/?state=refused").json()["results"]
        assert refused["error"].startswith("Nothing was imported: 1 of 3 lines cannot be placed.")
        assert refused["report"]["refused"][0]["lines"] == 1
        assert not Vote.objects.exists()

    @pytest.mark.parametrize(("role", "status"), [("researcher", 403), ("rater", 403), ("", 404)])
    def test_only_owners_import(self, desk: Desk, role: str, status: int) -> None:
        address = f"/api/v1/studies/{desk.study.slug}/vote-imports/"
        user, client = User.objects.create_user("somebody"), Client()
        if role:
            Membership.objects.create(study=desk.study, user=user, role=Role(role))
        client.force_login(user)
        assert [client.get(address).status_code, client.post(address, chosen()).status_code] == [status] * 2
        file = VoteFile.objects.create(study=desk.study, name="Pilot", sha256="0" * 64, size=1, state="ready")
        asked = [client.get(f"{address}files/"), client.get(f"{address}files/{file.pk}/")]
        asked += [client.post(f"{address}files/{file.pk}/{deed}/") for deed in ("adding", "cancelling")]
        assert [answer.status_code for answer in asked] == [status] * 4
        assert not VoteImport.objects.exists()
