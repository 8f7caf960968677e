"""Recruiting in a real browser: accessible, readable on a telephone, in light and dark; from Prolific and back."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from raters.models import Recruitment, Visit, VisitOutcome
from tests.browser.rating import desk, press, revealed, sign_in, site
from tests.raters.arrivals import from_prolific, way_in
from tests.raters.conftest import Desk

__all__ = ["desk", "site"]  # fixtures
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def ways(desk: Desk) -> dict[str, Recruitment]:
    cache.clear()
    return {platform: way_in(desk, platform, name=platform) for platform in ("link", "prolific", "mturk")}


def faults(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than the window."""
    found = [f"{page.url}: {each['id']}" for each in Axe().run(page, options=WCAG).response["violations"]]
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return found + ([f"{page.url} is too wide"] if wide else [])


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (360, True)])
def test_all_pages_of_recruiting_are_accessible(
    browser: Browser, site: str, ways: dict[str, Recruitment], width: int, dark: bool
) -> None:
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": 760}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    found: list[str] = []
    entrances = {platform: f"{site}/take-part/{way.token}/" for platform, way in ways.items()}
    for address in (
        entrances["link"],
        f"{site}/take-part/nothing/",
        entrances["prolific"],
        f"{entrances['mturk']}?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE",
    ):
        page.goto(address)
        found += faults(page)
    page.goto(site + from_prolific(ways["prolific"]))
    found += faults(page)
    page.get_by_role("button", name="I do not take part").click(no_wait_after=True)
    expect(page.get_by_text("Please return your submission on Prolific")).to_be_visible()
    found += faults(page)
    sign_in(context, site, "olga")
    for address in ("", *(f"{way.pk}/" for way in ways.values())):
        page.goto(f"{site}/studies/study/recruiting/{address}")
        found += faults(page)
    context.close()
    assert found == []


def test_she_comes_from_prolific_by_keys_and_goes_back_with_her_code(
    site: str, ways: dict[str, Recruitment], page: Page
) -> None:
    asked: list[str] = []

    def prolific(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(body="Back.")

    page.route("https://app.prolific.com/**", prolific)
    page.goto(site + from_prolific(ways["prolific"]))
    page.get_by_label("I have read this and take part.").press("Space")
    page.get_by_role("button", name="Continue").press("Enter")
    page.get_by_role("button", name="Begin").press("Enter")
    revealed(page)
    expect(page.locator(".progress")).to_contain_text("0 of 2 done")
    press(page, "ArrowLeft")
    expect(page.locator(".progress")).to_contain_text("1 of 2 done")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Finish and return to Prolific").press("Enter")
    expect(page.get_by_text("Back.")).to_be_visible()
    code = ways["prolific"].completion_code
    assert asked == [f"https://app.prolific.com/submissions/complete?cc={code}"]
    assert Visit.objects.get().outcome == VisitOutcome.COMPLETED
    # The back button: her part is over, and the way to Prolific is still there.
    page.go_back()
    page.goto(f"{site}/rate/study/")
    expect(page.get_by_role("link", name="Return to Prolific")).to_have_attribute("href", re.compile(f"cc={code}$"))


def test_the_address_for_prolific_is_copied_by_a_button(
    context: BrowserContext, page: Page, site: str, ways: dict[str, Recruitment]
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    sign_in(context, site, "olga")
    page.goto(f"{site}/studies/study/recruiting/{ways['prolific'].pk}/")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == (
        f"{site}/take-part/{ways['prolific'].token}/"
        "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    page.get_by_role("button", name="Copy the completion code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == ways["prolific"].completion_code
