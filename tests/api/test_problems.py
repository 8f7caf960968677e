"""Every way in which a request can go wrong is told in one shape and one full sentence."""

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from evalhub import rates, urls
from evalhub.rates import Rates
from evalhub.studies import api
from tests.api.test_submitting import problem, signed
from tests.submitting import Scene

STUDIES = "/api/v1/studies/"


@pytest.mark.parametrize(
    "address", ["/api/", "/api/v2/studies/", "/api/v1/", "/api/v1/nothing/", "/api/v1/studies", "/api/a%0Ab/"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_addresses_that_are_none(client: Client, scene: Scene, address: str, method: str) -> None:
    assert "check the address" in problem(getattr(client, method)(address), 404)
    assert "check the address" in problem(getattr(client, method)(address, headers=signed(scene.ada)), 404)


def test_what_the_protocol_has_ways_to_say(client: Client, scene: Scene) -> None:
    headers = signed(scene.ada)
    wrong_method = client.delete(STUDIES, headers=headers)
    assert "does not take DELETE; it takes GET, POST" in problem(wrong_method, 405)
    assert set(wrong_method["Allow"].split(", ")) >= {"GET", "POST"}
    assert "does not take OPTIONS" in problem(client.options(STUDIES, headers=headers), 405)
    unwanted = client.get(STUDIES, headers=headers | {"Accept": "image/png"})
    assert "answers with application/json" in problem(unwanted, 406)
    text = client.post(STUDIES, "a study", content_type="text/plain", headers=headers)
    assert "of the type text/plain is not read here; send application/json" in problem(text, 415)
    form = client.post(STUDIES, {"slug": "x"}, headers=headers)
    assert "multipart/form-data" in problem(form, 415)
    assert "cannot be read" in problem(client.post(STUDIES, "{", "application/json", headers=headers), 400)
    assert "cannot be read" in problem(client.post(STUDIES, b"\xff", "application/json", headers=headers), 400)
    listed = client.post(STUDIES, "[1]", "application/json", headers=headers)
    assert "Expected a dictionary" in problem(listed, 400)


def test_an_export_is_asked_for_by_its_own_type(client: Client, scene: Scene) -> None:
    votes, headers = f"{STUDIES}faces/exports/votes.csv", signed(scene.ada)
    assert client.get(votes, headers=headers | {"Accept": "text/csv"}).status_code == 200
    assert "answers with text/csv" in problem(client.get(votes, headers=headers | {"Accept": "image/png"}), 406)


def test_too_large_a_body(client: Client, scene: Scene, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    body = {"slug": "big", "name": "x" * 200}
    assert "more bytes" in problem(client.post(STUDIES, body, "application/json", headers=signed(scene.ada)), 413)
    form = client.post(f"{STUDIES}faces/prompts/", {"prompt_list": "x" * 200}, headers=signed(scene.ada))
    assert "more bytes" in problem(form, 413)


def test_who_is_not_signed_in_or_may_not(client: Client, scene: Scene) -> None:
    nobody = client.get(STUDIES)
    assert "Authorization: Token" in problem(nobody, 401)
    assert nobody["WWW-Authenticate"] == "Token"
    assert "takes the role owner; yours is viewer" in problem(
        client.get(f"{STUDIES}faces/raters/", headers=signed(scene.vera)), 403
    )
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(scene.ada)
    assert "CSRF" in problem(guarded.post(STUDIES, {}, "application/json"), 403)


def test_a_wrong_host(client: Client, db: None) -> None:
    assert "host name" in problem(client.get(STUDIES, headers={"Host": "elsewhere.example.org"}), 400)
    assert "json" not in client.get("/", headers={"Host": "elsewhere.example.org"})["Content-Type"]


def test_a_fault_of_ours(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(api, "visible_studies", broken)
    client = Client(raise_request_exception=False)
    answer = client.get(STUDIES, headers=signed(scene.ada))
    assert "which is its fault" in problem(answer, 500)
    assert "secret" not in answer.content.decode()
    assert urls.handler500 == "evalhub.problems.broken"


def test_strange_and_doubled_parameters(client: Client, scene: Scene) -> None:
    headers = signed(scene.ada)
    for query, sentence in (
        ("?stat=draft", "stat: There is no such parameter; known are state, modality, cursor, page_size"),
        ("?state=broken", "state: “broken” is not"),
        ("?state=draft&state=open", "state: Give it once; it came 2 times"),
        ("?page_size=0", "from 1 to 1,000 and got “0”"),
        ("?page_size=many", "from 1 to 1,000 and got “many”"),
    ):
        said = problem(client.get(STUDIES + query, headers=headers), 400)
        assert sentence.replace("“broken” is not", '"broken" is not') in said
    once = client.get(f"{STUDIES}faces/?x=1", headers=headers)
    assert "x: There is no such parameter; nothing is asked for here" in problem(once, 400)
    strange = client.post(STUDIES, {"slug": "a", "nmae": "A"}, "application/json", headers=headers)
    assert "nmae: There is no such field" in problem(strange, 400)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"quota_bytes": "12"}, "Expected a whole number and got a text"),
        ({"quota_bytes": True}, "Expected a whole number and got true or false"),
        ({"quota_bytes": 1.0}, "Expected a whole number and got a number"),
        ({"quota_bytes": [1]}, "Expected a whole number and got a list"),
        ('{"quota_bytes": 1e999}', "Expected a whole number and got a number that is too large"),
    ],
)
def test_another_type(client: Client, scene: Scene, body: Any, sentence: str) -> None:
    answer = client.put(f"{STUDIES}faces/quota/", body, "application/json", headers=signed(scene.ada))
    assert sentence in problem(answer, 400)


class TestRates:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.clear()
        few = {"read": "3/min", "write": "2/min", "stranger": "2/h", "exports": "1/min", "login": "2/min"}
        monkeypatch.setattr(Rates, "THROTTLE_RATES", Rates.THROTTLE_RATES | few)

    def test_one_too_many_is_told_how_long_to_wait(self, client: Client, scene: Scene) -> None:
        headers = signed(scene.ada)
        assert [client.get(STUDIES, headers=headers).status_code for _ in range(4)] == [200, 200, 200, 429]
        slowed = client.get(STUDIES, headers=headers)
        assert "too many requests" in problem(slowed, 429)
        assert 0 < int(slowed["Retry-After"]) <= 60
        assert client.get(STUDIES, headers=signed(scene.ada)).status_code == 429  # another token, the same person
        assert client.get(STUDIES, headers=signed(scene.ben)).status_code == 200

    def test_scopes_are_counted_apart(self, client: Client, scene: Scene) -> None:
        headers, quota = signed(scene.ada), f"{STUDIES}faces/quota/"
        put = [client.put(quota, {"quota_bytes": None}, "application/json", headers=headers) for _ in range(3)]
        assert [each.status_code for each in put] == [200, 200, 429]
        assert client.get(quota, headers=headers).status_code == 200
        exports = [client.get(f"{STUDIES}faces/exports/card.md", headers=headers).status_code for _ in range(2)]
        assert exports == [200, 429]

    def test_strangers_are_counted_by_address(self, client: Client, db: None) -> None:
        assert [client.get("/api/schema/").status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/api/schema/", REMOTE_ADDR="10.1.2.3").status_code == 200

    def test_nobody_waits_for_a_redis_that_is_away(self, client: Client, scene: Scene, settings: Settings) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        rates._redis.cache_clear()
        try:
            assert client.get(STUDIES, headers=signed(scene.ada)).status_code == 200
        finally:
            rates._redis.cache_clear()
