"""What the client does where the site is busy, away or wrong."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from evalhub.client import BadLayout, Client, Problem, Unreachable
from evalhub.client.connection import Connection, Stopped, pause, retry_after
from tests.client.scripted import Script


def test_what_passes_is_asked_again_with_the_same_key(script: Script) -> None:
    script.answers = [(0, {}, ""), (503, {}, ""), (429, {"Retry-After": "1"}, ""), (200, {}, {"id": "x"})]
    began = time.monotonic()
    with Client(script.url, "t") as site:
        assert site.score("s") == {"id": "x"}
    assert time.monotonic() - began > 1
    keys = {headers["Idempotency-Key"] for _, _, headers in script.asked}
    assert (len(script.asked), len(keys)) == (4, 1)
    with Client(script.url, "t") as site:
        site.score("s", key="job 7")
    assert script.asked[-1][2]["Idempotency-Key"] == "job 7"


def test_what_is_refused_is_not_asked_again(script: Script) -> None:
    script.answers = [(507, {"Content-Type": "application/problem+json"}, {"detail": "The site is full."})]
    with Client(script.url, "t") as site, pytest.raises(Problem, match="The site is full") as refused:
        site.studies()
    assert (refused.value.status, len(script.asked)) == (507, 1)
    script.answers = [(404, {"Content-Type": "text/html"}, "")]
    with Client(script.url, "t") as site, pytest.raises(Problem, match="is it an EvalHub site"):
        site.studies()


def test_patience_ends(script: Script) -> None:
    script.answers = [(502, {}, "")]
    with Client(script.url, "t", patience=0.5) as site, pytest.raises(Unreachable, match=r"\(HTTP 502\) for 0.5 s"):
        site.studies()
    script.answers = [(503, {"Retry-After": "3600"}, "")]
    with Client(script.url, "t", patience=5) as site, pytest.raises(Unreachable):
        site.studies()  # at once: the site asks for more than the caller allows


def test_a_stopped_connection_asks_nothing(script: Script) -> None:
    stop = threading.Event()
    connection = Connection(script.url, "t", timeout=5, patience=60, stopped=stop.is_set)
    script.answers = [(503, {"Retry-After": "30"}, "")]
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        connection.ask("GET", "studies/")
    assert time.monotonic() - began < 10
    connection.close()


def test_retry_after_as_a_number_and_as_a_date() -> None:
    assert retry_after("7") == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after(soon) <= 30
    assert retry_after("Fri, 01 Jan 2010 00:00:00 GMT") == 0
    assert retry_after("soon") == retry_after("") == retry_after("٣") == 0


def test_an_address_that_is_none() -> None:
    with pytest.raises(BadLayout, match="begins with https://"):
        Client("evalhub.example", "t")


def test_a_site_that_restarts_is_asked_again_soon_and_one_that_is_down_seldom() -> None:
    assert all(0.125 <= pause(away) <= 0.25 for away in (0, 0.5, 1) for _ in range(50))
    assert all(0.5 <= pause(4) <= 1 for _ in range(50))
    assert all(15 <= pause(10_000) <= 30 for _ in range(50))
    assert len({pause(4) for _ in range(20)}) == 20
