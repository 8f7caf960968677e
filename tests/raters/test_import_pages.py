"""Importing votes on the owner's page and by the command: looked at first, refused to others, taken back."""

import io
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from evalhub.studies.models import Membership, Role, User
from raters.models import Enrolment, Vote, VoteImport
from tests.raters.conftest import Desk

HOSTILE = "<script>alert(1)</script>"
CSV = "left,right,outcome,rater,prompt\nAlpha,Beta,left,a,prompt-0\nBeta,Gamma,tie,a,prompt-1\n"


def page(desk: Desk) -> str:
    return reverse("vote_imports", args=[desk.study.slug])


def chosen(text: str = CSV, name: str = "Pilot") -> dict[str, object]:
    return {"name": name, "file": SimpleUploadedFile("votes.csv", text.encode())}


def files(desk: Desk) -> list[str]:
    return default_storage.listdir(f"studies/{desk.study.pk}/imports")[1]


def test_a_file_is_looked_at_first_and_then_imported(desk: Desk, owner: Client) -> None:
    wrong = f"Alpha,{HOSTILE},left,a,prompt-0\n"
    looked = owner.post(page(desk), chosen(CSV + wrong))
    assert looked.status_code == 200
    assert "Import 2 votes and leave 1 out" in looked.text
    assert "Line 4: The study has no checkpoint “&lt;script&gt;" in looked.text
    assert HOSTILE not in looked.text
    assert not Vote.objects.exists()
    asked = {"name": "Pilot", "criterion": "", "sha256": looked.context["sha256"]}
    done = owner.post(page(desk), asked, follow=True)
    assert "2 votes were imported" in done.text
    assert Vote.objects.count() == 2
    assert files(desk) == []
    again = owner.post(page(desk), asked)
    assert again.status_code == 409
    assert "choose it again" in again.text


def test_only_the_newest_file_waits(desk: Desk, owner: Client) -> None:
    first = owner.post(page(desk), chosen()).context["sha256"]
    owner.post(page(desk), chosen(CSV + "Alpha,Gamma,left,b,prompt-0\n"))
    assert len(files(desk)) == 1
    assert owner.post(page(desk), {"name": "Pilot", "sha256": first}).status_code == 409
    assert owner.post(page(desk), {"name": "Pilot", "sha256": "../../secret"}).status_code == 409


def test_an_import_is_taken_back_and_put_back(desk: Desk, owner: Client) -> None:
    digest = owner.post(page(desk), chosen()).context["sha256"]
    owner.post(page(desk), {"name": "Pilot", "sha256": digest})
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


@pytest.mark.parametrize(("role", "status"), [("researcher", 403), ("viewer", 403), ("rater", 403), ("", 404)])
def test_only_owners_import(desk: Desk, owner: Client, role: str, status: int) -> None:
    owner.post(page(desk), {"name": "Pilot", "sha256": owner.post(page(desk), chosen()).context["sha256"]})
    change = reverse("vote_import_change", args=[desk.study.slug, VoteImport.objects.get().pk])
    user, client = User.objects.create_user("somebody"), Client()
    if role:
        Membership.objects.create(study=desk.study, user=user, role=Role(role))
    client.force_login(user)
    answers = [client.get(page(desk)), client.post(page(desk), chosen(name="B")), client.post(change, {"reason": "x"})]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert not VoteImport.objects.exclude(taken_back_at=None).exists()


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
        wrong = CSV + "Alpha,Delta,left,a,prompt-0\n"
        looked = owner.post(address, {**chosen(wrong), "dry_run": "true"})
        assert looked.status_code == 200, looked.text
        report = looked.json()
        assert [report[name] for name in ("lines", "votes", "raters", "known", "left_out")] == [3, 2, 1, 0, 1]
        assert report["refused"][0]["named"][0].startswith("Line 4: The study has no checkpoint “Delta”")
        refused = owner.post(address, chosen(wrong))
        assert (refused.status_code, refused.json()["refused"][0]["lines"]) == (422, 1)
        assert not Vote.objects.exists()
        assert owner.post(address, {**chosen(wrong), "leave_out": "true"}).json()["votes"] == 2
        (listed,) = owner.get(address).json()["results"]
        assert (listed["group"], listed["votes"], listed["refused"]) == ("imported: Pilot", 2, 1)
        back = f"{address}{listed['id']}/taking-back/"
        kind = "application/json"
        assert owner.post(back, {"reason": "Wrong."}, content_type=kind).json()["taken_back_because"] == "Wrong."
        assert owner.post(back, {"reason": "Wrong."}, content_type=kind).status_code == 409
        assert owner.post(back, {"reason": ""}, content_type=kind).json()["taken_back_at"] is None

    @pytest.mark.parametrize(("role", "status"), [("researcher", 403), ("rater", 403), ("", 404)])
    def test_only_owners_import(self, desk: Desk, role: str, status: int) -> None:
        address = f"/api/v1/studies/{desk.study.slug}/vote-imports/"
        user, client = User.objects.create_user("somebody"), Client()
        if role:
            Membership.objects.create(study=desk.study, user=user, role=Role(role))
        client.force_login(user)
        assert [client.get(address).status_code, client.post(address, chosen()).status_code] == [status] * 2
        assert not VoteImport.objects.exists()
