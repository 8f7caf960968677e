"""The real web server is killed while a rater votes, and started again: she goes on, and all of it arrives once."""

import os
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from evalhub import programs
from evalhub.embedded import free_port
from evalhub.supervisor import Child
from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import press, revealed, seat, sent
from tests.browser.test_away import answer, fetched_ahead, in_order
from tests.raters.conftest import Desk, make_desk


@pytest.fixture
def web(transactional_db: None) -> Iterator[tuple[Child, str]]:
    """The web server as `make run` starts it, on the test database, and its address."""
    address = f"127.0.0.1:{free_port()}"
    database = settings.DATABASES["default"]["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].replace("/evalhub?", f"/{database}?"),
        "DEBUG": "1",  # static files from where they are
        "SITE_URL": f"http://{address}",
    }
    child = programs.web(environment, settings.HOME, address)
    start(child, address)
    yield child, f"http://{address}"
    child.stop()


def start(child: Child, address: str) -> None:
    child.start()
    deadline = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(f"http://{address.removeprefix('http://')}/healthz", timeout=5):
                return
        except OSError:
            assert child.alive, child.last_words(40)
            assert time.monotonic() < deadline, child.last_words(40)
            time.sleep(0.1)


def kill(child: Child) -> None:
    """All of it at once, in the middle of whatever it does."""
    assert child.process is not None
    os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()


def test_the_server_is_killed_in_mid_session(web: tuple[Child, str], page: Page) -> None:
    child, site = web
    desk: Desk = make_desk(prompts=6)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    seat(page, site, desk)
    given: list[tuple[str, str]] = []

    def vote(choice: str) -> None:
        given.append((revealed(page), choice))
        answer(page, choice)

    press_first = revealed(page)
    press(page, "ArrowLeft")
    given.append((press_first, "left"))
    fetched_ahead(page, 8)
    for round_ in range(2):
        vote("right")  # under way, perhaps, as the server dies
        kill(child)
        for choice in ("tie", "both_bad", "left"):
            vote(choice)
        expect(page.locator("#unsent")).to_have_text(re.compile(r"[34] answers waiting for the server"))
        if round_:
            page.keyboard.press("u")
            expect(page.locator(f'[data-comparison="{given[-1][0]}"][data-open]')).to_be_visible()
            given.append((given[-1][0], "withdrawn"))
            vote("right")
        start(child, site)
        sent(page)
        expect(page.locator("#unsent")).to_have_text("")
        fetched_ahead(page, 7)
    assert in_order() == given
    counts = Counter(Vote.objects.values_list("comparison", "revision"))
    assert set(counts.values()) == {1}
    assert Comparison.objects.answered().count() == 9
    while page.locator("#desk").count():  # and none of what was leased ahead is lost
        revealed(page)
        token = page.locator("#desk").get_attribute("data-comparison")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
        page.locator("[data-comparison][data-open], h1:has-text('Thank you')").first.wait_for()
    assert Comparison.objects.answered().count() == Comparison.objects.count() == 18
