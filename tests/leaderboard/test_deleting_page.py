"""An owner takes her study away on a page: told what goes, asked for its name, offered a copy first."""

import io
import tarfile
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from evalhub.leaderboard.archive import owned_by
from evalhub.leaderboard.tasks import delete_study
from evalhub.studies.models import LogEntry, Media, Membership, Role, Study, StudyState, User
from evalhub.studies.services.quotas import gigabytes
from raters import services
from raters.models import PresentationCopy, Vote
from tests.raters.ballots import load, noisy, people, vote_on_all
from tests.raters.conftest import Desk, make_desk

PAGE, ARCHIVE = "/studies/study/delete/", "/studies/study/archive.tar"


@pytest.fixture
def desk(transactional_db: None) -> Desk:
    desk = make_desk()
    for name in ("Alpha", "Beta"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    vote_on_all(load(desk), people(desk, 2), noisy(1))
    return desk


def member(desk: Desk, client: Client, role: str) -> User:
    user = User.objects.create_user(f"the {role}")
    Membership.objects.create(study=desk.study, user=user, role=role)
    client.force_login(user)
    return user


@pytest.fixture
def owner(desk: Desk, client: Client) -> Client:
    member(desk, client, Role.OWNER)
    return client


def test_it_says_what_goes(desk: Desk, owner: Client) -> None:
    owned = owned_by(desk.study)
    assert (owned.prompts, owned.submissions, owned.votes, owned.raters) == (4, 2, 8, 2)
    stored = [model.objects.values_list("size", flat=True) for model in (Media, PresentationCopy)]
    assert (owned.files, owned.size) == (sum(map(len, stored)), sum(map(sum, stored)))
    text = " ".join(owner.get(PAGE).text.split())
    assert "<dt>Votes</dt><dd>8, of 2 raters</dd>" in text
    assert f"<dt>Files</dt><dd>{owned.files}, {gigabytes(owned.size)}</dd>" in text
    assert Study.objects.exists()


@pytest.mark.parametrize("state", StudyState)
def test_in_any_state_it_goes_by_its_name_and_the_site_remembers(desk: Desk, owner: Client, state: str) -> None:
    Study.objects.update(state=state)
    wrong = owner.post(PAGE, {"slug": "studi"})
    assert wrong.status_code == 422
    assert "type its short name, “study”; got “studi”" in wrong.text
    assert Vote.objects.count() == 8
    done = owner.post(PAGE, {"slug": "study"}, follow=True)
    assert "“Which is sharper” is deleted, with all it owned." in done.text
    assert not Study.objects.exists()
    assert not Vote.objects.exists()
    assert not default_storage.exists(f"studies/{desk.study.pk}")
    line = LogEntry.objects.get(verb="deleted study")
    assert (line.study, line.actor) == (None, User.objects.get(username="the owner"))
    assert owner.get(PAGE).status_code == 404  # a second window, or a second click
    assert owner.post(PAGE, {"slug": "study"}).status_code == 404


def test_a_large_one_goes_behind_the_page(desk: Desk, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[Any, ...]] = []
    monkeypatch.setattr("evalhub.leaderboard.views.deleting.MOST_VOTES", 7)
    monkeypatch.setattr("evalhub.leaderboard.views.deleting.enqueue", lambda *asked: rung.append(asked))
    assert owner.post(PAGE, {"slug": "other"}).status_code == 422
    assert rung == []
    assert "is being deleted" in owner.post(PAGE, {"slug": "study"}, follow=True).text
    ((name, *arguments),) = rung
    assert name == delete_study.name
    for _ in range(2):  # a task may run twice
        delete_study(*arguments)
    assert not Study.objects.exists()
    assert LogEntry.objects.get(verb="deleted study").actor == User.objects.get(username="the owner")


def test_the_copy_is_a_whole_archive(desk: Desk, owner: Client) -> None:
    assert ARCHIVE in owner.get(PAGE).text
    answer = owner.get(ARCHIVE)
    assert answer["Content-Disposition"] == 'attachment; filename="study.tar"'
    with tarfile.open(fileobj=io.BytesIO(answer.getvalue())) as archive:
        names = archive.getnames()
    assert {"study.json", "rows/raters.Vote.jsonl"} <= set(names)
    assert sum(name.startswith("media/") for name in names) == Media.objects.count()


def test_a_copy_too_large_for_a_page_is_an_operator_s(
    desk: Desk, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalhub.leaderboard.views.deleting.MOST_PACKED", 1_000)
    text = owner.get(PAGE).text
    assert ARCHIVE not in text
    assert "python manage.py export_study study study.tar" in text
    answer = owner.get(ARCHIVE)
    assert answer.status_code == 413
    assert "and a page packs at most 1.00 kB" in answer.text


def test_a_copy_that_cannot_be_made_is_said(desk: Desk, owner: Client) -> None:
    default_storage.delete(Media.objects.earliest("pk").path)
    answer = owner.get(ARCHIVE)
    assert answer.status_code == 422
    assert "is not in the storage, so nothing was packed" in answer.text


@pytest.mark.parametrize(("role", "status"), [("researcher", 403), ("viewer", 403), ("rater", 403), ("", 404)])
def test_only_owners_may(desk: Desk, client: Client, role: str, status: int) -> None:
    if role:
        member(desk, client, role)
    else:
        client.force_login(User.objects.create_user(f"stranger {uuid4()}"))
    assert client.get(PAGE).status_code == status
    assert client.get(ARCHIVE).status_code == status
    assert client.post(PAGE, {"slug": "study"}).status_code == status
    assert Vote.objects.count() == 8
