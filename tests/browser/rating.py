"""What the rating page's tests share: a study on a live server, raters signed in at it, and how one presses keys."""

import re
import time
from collections.abc import Iterator

import pytest
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import User
from raters import services
from raters.models import Vote
from tests.raters.conftest import Desk, make_desk

PATIENCE = 60  # seconds, on a machine with other work
BUTTONS = ["Left", "Tie", "Both bad", "Right"]


@pytest.fixture
def site(transactional_db: None, live_server: LiveServer) -> Iterator[str]:
    """The live server's address. Ends when every request has: the database is emptied after that."""
    under_way = 0

    def one_more(**_: object) -> None:
        nonlocal under_way
        under_way += 1

    def one_less(**_: object) -> None:
        nonlocal under_way
        under_way -= 1

    request_started.connect(one_more)
    request_finished.connect(one_less)
    yield live_server.url
    deadline = time.monotonic() + 20
    time.sleep(0.2)  # one that the browser has just sent
    while under_way > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    request_started.disconnect(one_more)
    request_finished.disconnect(one_less)
    assert under_way == 0, f"{under_way} requests did not end"


@pytest.fixture
def desk(site: str) -> Desk:
    """Three contestants on six prompts, with their copies made."""
    desk = make_desk(prompts=6)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    return desk


def sign_in(context: BrowserContext, site: str, username: str) -> None:
    """Give the browser a session of that user."""
    client = Client()
    client.force_login(User.objects.get(username=username))
    (cookie,) = client.cookies.values()
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])


def seat(page: Page, site: str, desk: Desk, name: str = "ria") -> Page:
    """A new rater at the page, with her first pair before her."""
    desk.rater(name)
    sign_in(page.context, site, name)
    page.goto(f"{site}/rate/{desk.study.slug}/")
    revealed(page)
    return page


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    return seat(page, site, desk)


def revealed(page: Page) -> str:
    """Wait for the pair, until it can be answered; returns its token."""
    shown = page.locator("[data-comparison][data-revealed][data-open]")
    expect(shown).to_be_visible()
    return shown.get_attribute("data-comparison") or ""


def press(page: Page, key: str) -> str:
    """Answer the pair with a key and wait for the next one; returns its token."""
    token = revealed(page)
    page.keyboard.press(key)
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(page)
    return revealed(page)


def sent(page: Page) -> None:
    """Wait until the server has all that she said."""
    until(page, "!Object.keys(localStorage).some((name) => name.startsWith('evalhub.unsent.'))")


def until(page: Page, condition: str) -> None:
    """Wait for a JavaScript condition. Playwright's own waiting would have to break the content security policy."""
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"It did not come true: {condition}"
        page.wait_for_timeout(50)


def pictures(page: Page) -> list[str]:
    """The addresses of the two pictures, left first."""
    return re.findall(r"/shown/[\w-]+", page.locator(".pair").inner_html())


def choices() -> list[str]:
    return list(Vote.objects.order_by("pk").values_list("choice", flat=True))


def wait_for_votes(count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Vote.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Vote.objects.count() == count
