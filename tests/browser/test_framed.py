"""The desk in a frame of another site, in a real Chromium that blocks third-party cookies: Mechanical Turk's situation.

A small server of our own stands where Mechanical Turk does: another port and another host name. It frames the desk and
takes the submission.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Playwright, Request, expect
from pytest_django.fixtures import Settings

from raters.models import Rater, Recruitment, Visit, VisitOutcome, Vote
from tests.browser.conftest import _system_chromium
from tests.browser.rating import desk, site, wait_for_votes
from tests.raters.arrivals import from_mturk, way_in
from tests.raters.conftest import Desk

__all__ = ["desk", "site"]  # fixtures


class Turk(ThreadingHTTPServer):
    """Stands where Mechanical Turk does. `framed` is what its page shows; `submitted` is what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TurkPage)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.framed = ""
        self.submitted: list[tuple[str, dict[str, list[str]], str]] = []


class TurkPage(BaseHTTPRequestHandler):
    server: Turk

    def do_GET(self) -> None:
        self._answer(f'<!doctype html><title>HIT</title><iframe src="{self.server.framed}" width="1200" height="760">')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.submitted.append((self.path, parse_qs(body), self.headers.get("Referer", "")))
        self._answer("<!doctype html><title>HIT</title><p>Thank you, worker.</p>")

    def _answer(self, page: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing is printed in the middle of a test."""


@pytest.fixture
def turk(settings: Settings) -> Iterator[Turk]:
    server = Turk()
    settings.MTURK_SUBMIT_TO = [server.origin]
    settings.MTURK_FRAMES = [server.origin]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def strict_page(playwright: Playwright, tmp_path: Path) -> Iterator[Page]:
    """A page of a browser whose settings say: block third-party cookies."""
    preferences = tmp_path / "Default" / "Preferences"
    preferences.parent.mkdir()
    preferences.write_text(json.dumps({"profile": {"cookie_controls_mode": 1, "block_third_party_cookies": True}}))
    context: BrowserContext = playwright.chromium.launch_persistent_context(
        str(tmp_path),
        executable_path=_system_chromium(),
        args=["--no-sandbox"],
        viewport={"width": 1280, "height": 820},
        locale="en-GB",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
    page.on("console", lambda message: troubles.append(message.text) if "Security Policy" in message.text else None)
    yield page
    context.close()
    assert not troubles, troubles


@pytest.fixture
def way(desk: Desk) -> Recruitment:
    return way_in(desk, "mturk", comparisons=3, completion_code="C0MPLETE")


def frame_of(page: Page) -> Frame:
    return page.frames[1]


def test_votes_arrive_from_a_frame_without_cookies_and_the_submission_goes_to_its_owner(
    site: str, way: Recruitment, turk: Turk, strict_page: Page
) -> None:
    page, asked = strict_page, list[Request]()
    page.on("request", lambda request: asked.append(request))
    turk.framed = site + from_mturk(way, submit_to=turk.origin)
    page.goto(f"{turk.origin}/hit")
    frame = page.frame_locator("iframe")
    frame.get_by_label("I have read this and take part.").check()
    frame.get_by_role("button", name="Continue").click()
    frame.get_by_role("button", name="Begin").click()

    shown = frame.locator("[data-comparison][data-revealed][data-open]")
    for number, key in enumerate(("ArrowLeft", "ArrowRight", "ArrowDown"), 1):
        expect(shown).to_be_visible()
        token = shown.get_attribute("data-comparison")
        frame.locator("#desk").press(key)
        expect(frame.locator(f'[data-comparison="{token}"]')).to_have_count(0)
        wait_for_votes(number)

    # It is the setting that does it: what a script in the frame writes into its jar is not there either.
    kept = frame_of(page).evaluate("() => { document.cookie = 'a=1; SameSite=None; Secure'; return document.cookie; }")
    assert kept == ""
    assert page.context.cookies(site) == []

    frame.get_by_role("button", name="Finish and submit the HIT").click()
    expect(frame.get_by_text("Thank you, worker.")).to_be_visible()
    ((path, facts, referrer),) = turk.submitted
    visit = Visit.objects.get()
    assert path == "/mturk/externalSubmit"
    assert facts == {
        "assignmentId": ["3ASSIGNMENT"],
        "visit": [str(visit.key)],
        "outcome": ["completed"],
        "answers": ["3"],
        "code": ["C0MPLETE"],
    }
    assert referrer in {"", f"{site}/"}, "the address, with its token, is nobody's business"
    assert visit.outcome == VisitOutcome.COMPLETED
    assert sorted(Vote.objects.values_list("choice", flat=True)) == ["left", "right", "tie"]
    assert Vote.objects.filter(without_javascript=True).count() == 0
    assert Rater.objects.count() == 1
    for request in asked:
        assert "cookie" not in request.headers
        if request.url.startswith(turk.origin):
            assert "/framed/" not in request.headers.get("referer", "")


def test_a_frame_goes_on_where_it_was_when_the_hit_is_reloaded(
    site: str, way: Recruitment, turk: Turk, strict_page: Page
) -> None:
    page = strict_page
    turk.framed = site + from_mturk(way, submit_to=turk.origin)
    page.goto(f"{turk.origin}/hit")
    frame = page.frame_locator("iframe")
    frame.get_by_label("I have read this and take part.").check()
    frame.get_by_role("button", name="Continue").click()
    frame.get_by_role("button", name="Begin").click()
    shown = frame.locator("[data-comparison][data-revealed][data-open]")
    expect(shown).to_be_visible()
    before = shown.get_attribute("data-comparison")
    page.reload()
    expect(shown).to_be_visible()
    assert shown.get_attribute("data-comparison") == before


def test_a_preview_and_a_site_that_may_not_frame(
    site: str, way: Recruitment, turk: Turk, strict_page: Page, settings: Settings
) -> None:
    page = strict_page
    turk.framed = f"{site}/take-part/{way.token}/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=3HIT"
    page.goto(f"{turk.origin}/hit")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("This is a preview.")).to_be_visible()
    expect(frame.get_by_text("I take part freely.")).to_be_visible()
    assert not Visit.objects.exists()
    settings.MTURK_FRAMES = ["https://*.mturk.com"]
    other = page.context.new_page()  # its console says what is refused, which here is right
    other.goto(f"{turk.origin}/hit")
    deadline = time.monotonic() + 15
    while other.frames[1].url != "chrome-error://chromewebdata/" and time.monotonic() < deadline:
        other.wait_for_timeout(50)
    assert other.frames[1].url == "chrome-error://chromewebdata/"
