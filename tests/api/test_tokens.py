"""Getting, using and losing a token."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from evalhub.studies import services
from evalhub.studies.models import ApiToken
from tests.api.test_submitting import problem, signed
from tests.submitting import Scene

PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def no_attempts_counted() -> None:
    cache.clear()


def login(client: Client, **fields: Any) -> Any:
    return client.post("/api/v1/login/", fields, content_type="application/json")


def test_a_name_and_password_for_a_token(client: Client, scene: Scene) -> None:
    answer = login(client, username=scene.ben.username, password=PASSWORD, name="cluster")
    assert answer.status_code == 201
    headers = {"Authorization": f"Token {answer.json()['token']}"}
    assert client.get("/api/v1/studies/", headers=headers).status_code == 200
    token = ApiToken.objects.get()
    assert (token.name, token.scope, token.user) == ("cluster", "submit", scene.ben)
    assert client.post("/api/v1/logout/", headers=headers).status_code == 204
    assert "This token opens nothing" in problem(client.get("/api/v1/studies/", headers=headers), 401)


def test_one_answer_for_a_wrong_name_and_a_wrong_password(client: Client, scene: Scene) -> None:
    wrong = login(client, username=scene.ben.username, password="guess")
    nobody = login(client, username="nobody", password="guess")
    assert problem(wrong, 401) == problem(nobody, 401)
    scene.ben.is_active = False
    scene.ben.save()
    assert problem(login(client, username=scene.ben.username, password=PASSWORD), 401) == problem(wrong, 401)
    assert "password: This field is required" in problem(login(client, username="x"), 400)


def test_guessing_is_slowed_down(client: Client, scene: Scene) -> None:
    answers = [login(client, username=scene.ben.username, password="guess").status_code for _ in range(21)]
    assert answers == [401] * 20 + [429]
    slowed = login(client, username=scene.ben.username, password=PASSWORD)
    assert "too many requests" in problem(slowed, 429)
    assert int(slowed["Retry-After"]) > 0


def test_a_token_ends(client: Client, scene: Scene) -> None:
    _, secret = services.create_token(user=scene.ben, name="old", expiry=timedelta(seconds=-1))
    headers = {"Authorization": f"Token {secret}"}
    assert "expired, was revoked, or never was one" in problem(client.get("/api/v1/studies/", headers=headers), 401)


@pytest.mark.parametrize("value", ["Token made-up", "Token", "Token a b", "Token ünïcode", "Basic eA==", ""])
def test_what_is_no_token(client: Client, scene: Scene, value: str) -> None:
    response = client.get("/api/v1/studies/", headers={"Authorization": value})
    problem(response, 401)
    assert response["WWW-Authenticate"] == "Token"


def test_when_it_was_last_used_is_noted_once_a_minute(client: Client, scene: Scene) -> None:
    headers = signed(scene.ben)
    client.get("/api/v1/studies/", headers=headers)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    assert timezone.now() - first < timedelta(seconds=20)
    client.get("/api/v1/studies/", headers=headers)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    client.get("/api/v1/studies/", headers=headers)
    again = ApiToken.objects.get().last_used_at
    assert again is not None
    assert again > first - timedelta(minutes=1)


def test_only_a_token_is_revoked(client: Client, scene: Scene) -> None:
    client.force_login(scene.ben)
    assert "Only a token is revoked here" in problem(client.post("/api/v1/logout/"), 422)
