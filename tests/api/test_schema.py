"""The schema is complete, is what is served, and shows an example of everything."""

import io
import json
from typing import Any, cast

import jsonschema_rs
import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from evalhub.schema import PROBLEMS

SCHEMA = cast("dict[str, Any]", json.loads(json.dumps(SchemaGenerator().get_schema(public=True), default=str)))
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in SCHEMA["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def test_the_schema_has_no_gap() -> None:
    out = io.StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json", stdout=out)
    assert json.loads(out.getvalue())["paths"] == SCHEMA["paths"]
    assert len(OPERATIONS) > 50


def test_the_schema_and_its_page_are_served(client: Client, db: None) -> None:
    answer = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert json.loads(answer.content)["paths"] == SCHEMA["paths"]
    assert client.get("/api/docs/").status_code == 200


def test_who_may_sign_how() -> None:
    schemes = SCHEMA["components"]["securitySchemes"]
    token, cookie = schemes["token"], schemes["cookieAuth"]
    assert (token["type"], token["in"], token["name"]) == ("apiKey", "header", "Authorization")
    assert (cookie["type"], cookie["in"], cookie["name"]) == ("apiKey", "cookie", "evalhub_session")
    for label, operation in OPERATIONS.items():
        if label.endswith("/login/"):
            assert "security" not in operation or operation["security"] == []
        else:
            assert operation["security"] == [{"token": []}, {"cookieAuth": []}], label


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_shows_examples_that_fit(label: str) -> None:
    operation = OPERATIONS[label]
    assert operation.get("description", "").endswith("."), "Its description is a sentence."
    contents = [("request", operation.get("requestBody", {}).get("content", {}))]
    contents += [(status, response.get("content", {})) for status, response in operation["responses"].items()]
    for where, content in contents:
        for media_type, body in content.items():
            assert body.get("examples"), f"{where} has no example as {media_type}."
            if "json" in media_type or "form" in media_type:
                shown = [example["value"] for example in body["examples"].values()]
                misfits = [str(error) for value in shown for error in validator(body["schema"]).iter_errors(value)]
                assert not misfits, f"{where}: {misfits}"


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_problem_has_its_shape(label: str) -> None:
    for status, response in OPERATIONS[label]["responses"].items():
        if status >= "400":
            assert set(response["content"]) == {"application/problem+json"}, status
            assert int(status) in PROBLEMS
            assert ("Retry-After" in response.get("headers", {})) == (status == "429")


def test_every_status_has_a_sentence() -> None:
    assert all(said.endswith(".") and meaning.endswith(".") for meaning, said in PROBLEMS.values())


def validator(schema: Any) -> jsonschema_rs.Validator:
    """Of a part of the schema; OpenAPI 3.0 says `nullable` where JSON Schema has a type."""
    return jsonschema_rs.Draft7Validator(_plain(schema) | {"components": _plain(SCHEMA["components"])})


def _plain(part: Any) -> Any:
    if isinstance(part, list):
        return [_plain(each) for each in part]
    if not isinstance(part, dict):
        return part
    plain = {name: _plain(value) for name, value in part.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if part.get("nullable") is True else plain
