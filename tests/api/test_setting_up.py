"""A study is made and filled by a program: a draft, its questions, its prompts with their files."""

import io
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from evalhub.studies import services
from evalhub.studies.models import Study, TokenScope, User
from tests.submitting import Scene, picture

STUDIES = "/api/v1/studies/"


def keyed(user: User, **scope: Any) -> dict[str, str]:
    _, secret = services.create_token(user=user, name="test", **scope)
    return {"authorization": f"Token {secret}"}


def made(client: Client, headers: dict[str, str], **given: Any) -> Any:
    body = {"slug": "edits", "name": "Edits"} | given
    return client.post(STUDIES, body, content_type="application/json", headers=headers)


def test_a_draft_with_its_questions(client: Client, scene: Scene) -> None:
    questions = [
        {"name": "Edit", "question": "Which one carries out the instruction better?"},
        {"name": "Kept", "question": "Which one keeps better what was to stay?", "allows_tie": False},
    ]
    response = made(client, keyed(scene.ben), questions=questions, consent="I take part.")
    assert response.status_code == 201, response.content
    assert response.json()["state"] == "draft"
    study = Study.objects.get(slug="edits")
    assert list(study.criteria.values_list("key", "allows_tie")) == [("edit", True), ("kept", False)]
    assert study.consent == "I take part."
    assert study.memberships.get().user == scene.ben
    twice = made(client, keyed(scene.ben))
    assert twice.status_code == 409
    assert "called “edits” already" in twice.json()["detail"]


def test_a_draft_that_does_not_do_is_not_half_made(client: Client, scene: Scene) -> None:
    same = [{"name": "Edit", "question": "Which?"}] * 2
    response = made(client, keyed(scene.ada), questions=same)
    assert response.status_code == 422
    assert "both be called “edit”" in response.json()["detail"]
    assert not Study.objects.filter(slug="edits").exists()
    assert made(client, keyed(scene.ada), slug="Not a slug").status_code == 422
    assert made(client, keyed(scene.ada), modality="smell").status_code == 400


@pytest.mark.parametrize("who", ["vera", "ria", "cy"])
def test_who_makes_no_study(client: Client, scene: Scene, who: str) -> None:
    response = made(client, keyed(getattr(scene, who)))
    assert response.status_code == 403
    assert "takes an administrator" in response.json()["detail"]


def test_a_narrow_token_makes_no_study(client: Client, scene: Scene) -> None:
    for scope in ({"study": scene.study}, {"scope": TokenScope.READ}):
        assert made(client, keyed(scene.ada, **scope)).status_code == 403
    assert Study.objects.count() == 1


def test_prompts_with_their_files(client: Client, scene: Scene) -> None:
    address = f"{STUDIES}faces/prompts/"
    rows = "key,text,source\nbird,In snow,bird.png\n"
    files = {
        "prompt_list": SimpleUploadedFile("list.csv", rows.encode()),
        "files": [SimpleUploadedFile("bird.png", picture(3))],
    }
    response = client.post(address, files, headers=keyed(scene.ada))
    assert (response.status_code, response.json()) == (201, {"added": 1})
    bird = scene.study.prompts.get(key="bird")
    assert bird.source is not None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("list.jsonl", '{"key": "boat"}\n{"key": "a/b"}\n{"key": "boat"}\n')
    torn = client.post(address, {"archive": SimpleUploadedFile("p.zip", packed.getvalue())}, headers=keyed(scene.ada))
    assert torn.status_code == 422
    assert [problem["line"] for problem in torn.json()["problems"]] == [2, 3]
    assert scene.study.prompts.count() == 4
    assert client.post(address, {}, headers=keyed(scene.ada)).status_code == 400
    for who, status in ((scene.ben, 403), (scene.cy, 404)):
        assert client.post(address, files, headers=keyed(who)).status_code == status
