"""What a token may do: its scope, its study and its last day hold on every operation that there is."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.access import ONLY_READS
from evalhub.studies.models import ApiToken, Study
from tests.api.test_schema import OPERATIONS
from tests.api.test_submitting import problem, signed
from tests.api.test_tokens import PASSWORD, login
from tests.submitting import Scene

TOKENS = "/api/v1/tokens/"
# A token may give itself up, and a log-in is signed by no token.
FREE = {"POST /api/v1/logout/", "POST /api/v1/login/"}
WRITING = sorted(label for label in OPERATIONS if not label.startswith("GET ") and label not in FREE)
SIGNED = sorted(set(OPERATIONS) - {"POST /api/v1/login/"})
PLACES = {
    "slug": "faces",
    "table": "votes",
    "kind": "csv",
    "gold_id": "1",
    "token_id": "0",
    "sha256": "0" * 64,
}


def ask(client: Client, label: str, headers: dict[str, str]) -> Any:
    method, _, path = label.partition(" ")
    while "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        path = path.replace(f"{{{name}}}", PLACES.get(name, "0198c5d2-0000-4c1e-9b60-3d1f6e0a2b11"))
    return client.generic(method, path, "{}", content_type="application/json", headers=headers)


def test_a_token_that_reads_writes_nowhere(client: Client, scene: Scene) -> None:
    """Not even the study's owner's, and not even where there is nothing."""
    headers = signed(scene.ada, scope="read")
    assert len(WRITING) > 20
    for label in WRITING:
        assert problem(ask(client, label, headers), 403) == ONLY_READS, label
    assert client.get("/api/v1/studies/faces/", headers=headers).status_code == 200
    assert client.post("/api/v1/logout/", headers=headers).status_code == 204


def test_nobody_comes_in_without_a_token(client: Client, scene: Scene) -> None:
    expired = services.create_token(user=scene.ada, name="old", expiry=timedelta(seconds=-1))[1]
    for label in SIGNED:
        problem(ask(client, label, {}), 401)
        problem(ask(client, label, {"Authorization": f"Token {expired}"}), 401)


def test_a_token_of_another_study_opens_nothing_of_this_one(client: Client, scene: Scene) -> None:
    other = services.create_study(slug="other", name="Other", actor=scene.ada)
    headers = signed(scene.ada, study=other)
    of_study = [label for label in SIGNED if "{slug}" in label]
    assert len(of_study) > 20
    for label in of_study:
        # What is refused as a body before anything is looked up says nothing either.
        assert ask(client, label, headers).status_code in {404, 415}, label
    assert [each["slug"] for each in client.get("/api/v1/studies/", headers=headers).json()["results"]] == ["other"]


def test_tokens_are_listed_with_all_that_is_known_of_them(client: Client, scene: Scene) -> None:
    headers = signed(scene.ada)
    signed(scene.ben)
    made, secret = services.create_token(
        user=scene.ada, name="cluster", scope="read", study=scene.study, expiry=timedelta(days=3)
    )
    listed = client.get(TOKENS, headers=headers).json()["results"]
    assert [each["name"] for each in listed] == ["cluster", "test"]
    (cluster, used) = listed
    assert (cluster["scope"], cluster["study"], cluster["last_used_at"]) == ("read", "faces", None)
    assert secret.startswith(cluster["begins_with"])
    assert secret not in client.get(TOKENS, headers=headers).content.decode()
    assert timedelta(days=2) < made.expiry - timezone.now() <= timedelta(days=3)
    assert used["last_used_at"] is not None
    assert used["study"] is None
    for query, names in (
        ("scope=submit", ["test"]),
        ("study=faces", ["cluster"]),
        ("scope=submit&study=faces", []),
        ("study=other", []),
    ):
        narrowed = client.get(f"{TOKENS}?{query}", headers=headers).json()["results"]
        assert [each["name"] for each in narrowed] == names
    assert 'scope: "write" is not a valid choice' in problem(client.get(f"{TOKENS}?scope=write", headers=headers), 400)


def test_a_token_of_one_study_sees_its_like_only(client: Client, scene: Scene) -> None:
    headers = signed(scene.ada, study=scene.study)
    whole = services.create_token(user=scene.ada, name="all")[0]
    assert [each["study"] for each in client.get(TOKENS, headers=headers).json()["results"]] == ["faces"]
    problem(client.delete(f"{TOKENS}{whole.pk}/", headers=headers), 404)


def test_ones_own_are_revoked_and_nobody_elses(client: Client, scene: Scene) -> None:
    headers = signed(scene.ada)
    mine, secret = services.create_token(user=scene.ada, name="lost")
    theirs = services.create_token(user=scene.ben, name="theirs")[0]
    assert client.delete(f"{TOKENS}{mine.pk}/", headers=headers).status_code == 204
    problem(client.delete(f"{TOKENS}{mine.pk}/", headers=headers), 404)
    problem(client.delete(f"{TOKENS}{theirs.pk}/", headers=headers), 404)
    problem(client.get(TOKENS, headers={"Authorization": f"Token {secret}"}), 401)
    assert ApiToken.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize(("given", "days"), [({}, 90), ({"days": 7}, 7)])
def test_a_log_in_says_what_its_token_may(client: Client, scene: Scene, given: dict[str, Any], days: int) -> None:
    asked = {"username": scene.ben.username, "password": PASSWORD, "scope": "read", "study": "faces", **given}
    assert login(client, **asked).status_code == 201
    token = ApiToken.objects.get()
    assert (token.scope, token.study) == ("read", scene.study)
    assert timedelta(days=days - 1) < token.expiry - timezone.now() <= timedelta(days=days)


def test_a_log_in_for_a_study_that_is_not_hers(client: Client, scene: Scene) -> None:
    Study.objects.create(slug="hidden", name="Hidden")
    who = {"username": scene.ben.username, "password": PASSWORD}
    problem(login(client, **who, study="hidden"), 404)
    problem(login(client, **who, study="nothing"), 404)
    problem(login(client, username=scene.ria.username, password=PASSWORD, study="faces"), 403)
    for days in (0, 366, "7"):
        problem(login(client, **who, days=days), 400)
    assert not ApiToken.objects.exists()
