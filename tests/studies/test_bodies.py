"""Large bodies, and who has to sign in before they are read."""

import io
import logging
from typing import Any

import pytest
from django.test import Client

from tests.submitting import Scene


class Unread(io.BytesIO):
    def read(self, *arguments: Any) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("address", ["/accounts/login/", "/studies/faces/submit/", "/rate/faces/vote/", "/nowhere/"])
def test_a_stranger_s_large_form_is_not_read(scene: Scene, address: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.get("/accounts/login/")  # a cookie, with which the form's token would be looked for in the body
    form: dict[str, Any] = {"CONTENT_TYPE": "multipart/form-data; boundary=x", "CONTENT_LENGTH": str(64 * 2**20)}
    form["wsgi.input"] = Unread()
    refused = browser.generic("POST", address, **form)
    assert refused.status_code == 413
    assert "a large submission is best sent by the command" in refused.content.decode()


def test_a_small_form_is(scene: Scene, client: Client) -> None:
    assert client.post("/accounts/login/", {"username": "nobody", "password": "x" * 1000}).status_code == 422


def test_what_does_not_do_is_a_line_in_the_log(client: Client, db: None, capsys: pytest.CaptureFixture[str]) -> None:
    handler = next(each for each in logging.getLogger("django.security").handlers)
    assert isinstance(handler, logging.StreamHandler)
    out = io.StringIO()
    before = handler.setStream(out)
    try:
        assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400
    finally:
        handler.setStream(before)
    (line,) = out.getvalue().splitlines()
    assert "Invalid HTTP_HOST header" in line
