"""The schema is complete and says what the API does."""

import io
import json

from django.core.management import call_command
from django.test import Client


def test_the_schema_has_no_gap() -> None:
    out = io.StringIO()
    call_command("spectacular", "--fail-on-warn", "--validate", "--format", "openapi-json", stdout=out)
    paths = json.loads(out.getvalue())["paths"]
    assert {
        "/api/v1/login/",
        "/api/v1/studies/",
        "/api/v1/studies/{slug}/submissions/",
        "/api/v1/submissions/{submission_id}/files/{sha256}/",
        "/api/v1/submissions/{submission_id}/complete/",
        "/api/v1/studies/{slug}/leaderboard/",
    } <= set(paths)


def test_the_schema_and_its_page_are_served(client: Client, db: None) -> None:
    assert client.get("/api/schema/").status_code == 200
    assert client.get("/api/docs/").status_code == 200
