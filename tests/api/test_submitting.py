"""The API's way from a manifest to a complete submission, who may go it, and what is said to whoever may not."""

import hashlib
import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from evalhub.studies import services
from evalhub.studies.models import Sample, Submission, User
from tests.submitting import Scene, make_scene, picture

PROBLEM = "application/problem+json"


def signed(user: User, scope: str = "submit", **more: Any) -> dict[str, str]:
    _, secret = services.create_token(user=user, name="test", scope=scope, **more)
    return {"Authorization": f"Token {secret}"}


def manifest(files: dict[str, bytes], name: str = "plain", **facts: Any) -> dict[str, Any]:
    lines = [
        {"path": path, "sha256": sha(content), "size": len(content), "prompt": path.removesuffix(".png")}
        for path, content in files.items()
    ]
    return {"checkpoint": {"name": name, **facts}, "files": lines}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def post(client: Client, scene: Scene, body: Any, headers: dict[str, str]) -> Any:
    address = f"/api/v1/studies/{scene.study.slug}/submissions/"
    return client.post(address, body, content_type="application/json", headers=headers)


def put(client: Client, submission: str, content: bytes, headers: dict[str, str], digest: str = "") -> Any:
    address = f"/api/v1/submissions/{submission}/files/{digest or sha(content)}/"
    return client.put(address, content, content_type="application/octet-stream", headers=headers)


def problem(response: Any, status: int) -> str:
    """The sentence of an answer that has the one shape of all errors."""
    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    body = response.json()
    assert set(body) >= {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert body["detail"].endswith(".")
    return str(body["detail"])


def test_manifest_files_complete(client: Client, scene: Scene) -> None:
    headers, files = signed(scene.ben), scene.outputs()
    begun = post(client, scene, manifest(files, step=5, gpu="H200"), headers).json()
    assert begun["state"] == "incomplete"
    assert begun["url"] == f"http://127.0.0.1:8000/submissions/{begun['id']}/"
    assert (begun["files"], begun["received"]) == (3, 0)
    assert begun["checkpoint"]["gpu"] == "H200"
    assert {line["sha256"] for line in begun["missing"]} == {sha(content) for content in files.values()}
    states = [put(client, begun["id"], content, headers).json()["submission"] for content in files.values()]
    assert states == ["incomplete", "incomplete", "complete"]
    done = client.post(f"/api/v1/submissions/{begun['id']}/complete/", headers=headers).json()
    assert (done["state"], done["missing"], done["report"]["bad_files"]) == ("complete", [], [])
    assert post(client, scene, manifest(files, step=5), headers).json() == done
    assert client.get(f"/api/v1/submissions/{begun['id']}/", headers=headers).json() == done
    assert Sample.objects.count() == 3


def test_what_is_wrong_is_said_in_sentences(client: Client, scene: Scene) -> None:
    headers, files = signed(scene.ben), {**scene.outputs(), "cat.png": b"<html>"}
    begun = post(client, scene, manifest(files), headers).json()
    for path in ("dog.png", "tree.png"):
        put(client, begun["id"], files[path], headers)
    sentence = "cat.png is an HTML page: PNG, JPEG, WebP, AVIF and TIFF are taken."
    assert problem(put(client, begun["id"], files["cat.png"], headers), 422) == sentence
    answer = client.post(f"/api/v1/submissions/{begun['id']}/complete/", headers=headers)
    assert problem(answer, 409) == "Incomplete: 1 file did not do, to be sent again."
    again = post(client, scene, manifest(files), headers).json()
    assert again["report"]["bad_files"] == [{"path": "cat.png", "problem": sentence}]
    assert [line["path"] for line in again["missing"]] == ["cat.png"]
    assert "no such prompts" in problem(post(client, scene, manifest({"cow.png": picture(1)}), headers), 422)
    assert "promises no file" in problem(put(client, begun["id"], picture(9), headers), 409)
    assert "cat.png is empty" in problem(post(client, scene, manifest({"cat.png": b""}), headers), 422)
    assert f"“{'x' * 250}”" in problem(post(client, scene, manifest({f"{'x' * 250}.png": b"x"}), headers), 422)
    assert "nested too deeply" in problem(post(client, scene, "[" * 100_000, headers), 400)


def test_a_file_is_streamed_with_its_length(client: Client, scene: Scene, settings: Settings) -> None:
    headers, files = signed(scene.ben), scene.outputs()
    begun = post(client, scene, manifest(files), headers).json()
    address = f"/api/v1/submissions/{begun['id']}/files/{sha(files['cat.png'])}/"
    without = client.generic("PUT", address, b"", headers=headers, CONTENT_LENGTH="")
    assert "sent with a Content-Length" in problem(without, 411)
    settings.MAX_FILE_BYTES = 100
    assert "at most 100 are taken" in problem(put(client, begun["id"], files["cat.png"], headers), 413)


ADDRESSES = [
    ("get", "/api/v1/studies/{slug}/", "see"),
    ("get", "/api/v1/studies/{slug}/prompts/", "see"),
    ("get", "/api/v1/studies/{slug}/submissions/", "see"),
    ("post", "/api/v1/studies/{slug}/submissions/", "submit"),
    ("get", "/api/v1/submissions/{submission}/", "see"),
    ("put", "/api/v1/submissions/{submission}/files/{sha256}/", "submit"),
    ("post", "/api/v1/submissions/{submission}/complete/", "submit"),
]


@pytest.mark.parametrize(("method", "address", "right"), ADDRESSES)
def test_who_may_what(client: Client, scene: Scene, method: str, address: str, right: str) -> None:
    files = scene.outputs()
    submission = scene.submit(files)
    address = address.format(slug=scene.study.slug, submission=submission.pk, sha256=sha(files["cat.png"]))
    body = json.dumps(manifest(files)) if address.endswith("/submissions/") else files["cat.png"]

    def ask(headers: dict[str, str]) -> Any:
        kind = "application/octet-stream" if method == "put" else "application/json"
        return client.generic(method.upper(), address, body, content_type=kind, headers=headers)

    assert ask(signed(scene.ben)).status_code == 200
    assert ask(signed(scene.ada)).status_code == 200
    assert ask(signed(scene.vera)).status_code == (200 if right == "see" else 403)
    assert "yours is rater" in problem(ask(signed(scene.ria)), 403)
    assert "nothing here" in problem(ask(signed(scene.cy)), 404)
    assert "nothing here" in problem(ask(signed(scene.ben, study=make_scene("other").study)), 404)
    read = ask(signed(scene.ben, scope="read"))
    assert read.status_code == (200 if right == "see" else 403)
    if right == "submit":
        assert "This token may only read" in problem(read, 403)
    assert ask({}).status_code == 401


def test_the_studies_and_prompts_of_a_member(client: Client, scene: Scene) -> None:
    make_scene("hidden")
    headers = signed(scene.vera, scope="read")
    studies = client.get("/api/v1/studies/", headers=headers).json()["results"]
    assert [(study["slug"], study["prompts"]) for study in studies] == [("faces", 3)]
    prompts = client.get("/api/v1/studies/faces/prompts/", headers=headers).json()["results"]
    assert [prompt["key"] for prompt in prompts] == ["cat", "dog", "tree"]
    assert (prompts[0]["text"], prompts[0]["reference"]) == ("A cat", None)
    scene.submit(scene.outputs())
    listed = client.get("/api/v1/studies/faces/submissions/", headers=headers).json()["results"]
    assert [(row["state"], row["checkpoint"]["name"]) for row in listed] == [("complete", "plain")]


@pytest.mark.parametrize(
    "body",
    [
        "{not json",
        "[]",
        "{}",
        '{"checkpoint": {"name": "x"}, "files": [{"path": "a"}]}',
        '{"checkpoint": {"name": "x"}, "files": "many"}',
        '{"checkpoint": {"name": "a\\u0000b"}, "files": []}',
        '{"checkpoint": {"name": "x", "step": 1e99}, "files": []}',
        '{"checkpoint": {"name": "x", "price": NaN}, "files": []}',
    ],
)
def test_bodies_that_do_not_do(client: Client, scene: Scene, body: str) -> None:
    response = post(client, scene, body, signed(scene.ben))
    assert response.status_code in (400, 422)
    problem(response, response.status_code)
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("path", "x" * 10_000, "path has 10,000 characters and at most 1,000 are taken"),
        ("path", "\\ud800.png", "path has halves of characters in it"),
        ("prompt", "\\udfff", "prompt has halves of characters in it"),
        ("prompt", None, "prompt is required"),
        ("size", True, "size is a whole number"),
        ("size", 2**63, "size does not fit into 64 bits"),
        ("size", 0, "cat.png is empty"),
        ("seed", "1", "seed is a whole number"),
    ],
)
def test_lines_that_do_not_do(client: Client, scene: Scene, field: str, value: object, sentence: str) -> None:
    line = {"path": "cat.png", "sha256": "0" * 64, "size": 1, "prompt": "cat"} | {field: value}
    body = json.dumps({"checkpoint": {"name": "x"}, "files": [line]}).replace("\\\\u", "\\u")
    response = post(client, scene, body, signed(scene.ben))
    assert sentence in problem(response, response.status_code)
    assert response.status_code in (400, 422)
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    "address",
    ["/api/v1/nothing/", "/api/v1/submissions/7/", "/api/v1/submissions/%00/", "/api/v1/studies/%00/"],
)
def test_addresses_that_are_none(client: Client, scene: Scene, address: str) -> None:
    assert "There is nothing here" in problem(client.get(address, headers=signed(scene.ben)), 404)


def test_a_session_needs_the_pages_csrf_token(scene: Scene) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(scene.ben)
    assert "CSRF" in problem(post(browser, scene, manifest(scene.outputs()), {}), 403)
    browser.get(f"/studies/{scene.study.slug}/submit/")
    headers = {"X-CSRFToken": browser.cookies["evalhub_csrf"].value}
    assert post(browser, scene, manifest(scene.outputs()), headers).status_code == 200
