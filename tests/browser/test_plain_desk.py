"""The rater's desk in a browser without JavaScript."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from raters.models import Vote
from tests.browser.rating import BUTTONS, choices, desk, sign_in, site
from tests.raters.conftest import Desk

__all__ = ["desk", "site"]  # fixtures


@pytest.fixture
def plain(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def test_without_javascript_where_it_is_allowed(desk: Desk, site: str, plain: Page) -> None:
    desk.study.works_without_javascript = True
    desk.study.save()
    desk.rater("ria")
    sign_in(plain.context, site, "ria")
    plain.goto(f"{site}/rate/study/")
    for place in range(2):
        expect(plain.locator(".pair img").nth(place)).to_be_visible()
    for number, name in enumerate(BUTTONS):
        expect(plain.get_by_text(f"{number} done")).to_be_visible()
        plain.get_by_role("button", name=name).click()
    expect(plain.get_by_text("4 done")).to_be_visible()
    plain.get_by_role("button", name="Undo").click()
    expect(plain.get_by_text("3 done")).to_be_visible()
    assert choices() == ["left", "tie", "both_bad", "right", "withdrawn"]
    flags = Vote.objects.exclude(choice="withdrawn").values_list("without_javascript", "milliseconds")
    assert set(flags) == {(True, None)}


def test_without_javascript_where_it_is_not(desk: Desk, site: str, plain: Page) -> None:
    desk.rater("ria")
    sign_in(plain.context, site, "ria")
    plain.goto(f"{site}/rate/study/")
    said = plain.locator("noscript p")  # Playwright's search for text passes noscript over
    expect(said).to_be_visible()
    expect(said).to_contain_text("with JavaScript only")
    for place in range(2):
        expect(plain.locator(".pair img").nth(place)).not_to_be_visible()
    for name in BUTTONS:
        expect(plain.get_by_role("button", name=name)).to_be_disabled()
