"""A sitting: blur and its opt-in, breaks, progress and what is left, and the time away from the page."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from raters.models import Enrolment, RaterRules, Remark, Vote
from tests.browser.rating import choices, desk, press, revealed, seat, seated, sent, site
from tests.raters.conftest import Desk

__all__ = ["desk", "seated", "site"]  # fixtures

SITTING = "Object.keys(sessionStorage).find((name) => name.startsWith('evalhub.sitting.'))"
BLURS = "[...document.querySelectorAll('.pane > :first-child')].map((side) => getComputedStyle(side).filter)"


def ago(page: Page, minutes: int) -> None:
    """Let her have begun so many minutes earlier."""
    page.evaluate(
        f"""() => {{
            const name = {SITTING}, sitting = JSON.parse(sessionStorage.getItem(name));
            sitting.since -= {minutes} * 60000;
            sessionStorage.setItem(name, JSON.stringify(sitting));
        }}"""
    )


# -- blur ---------------------------------------------------------------------------------------------------------


def test_a_sensitive_study_is_blurred_until_she_agrees(desk: Desk, site: str, page: Page) -> None:
    desk.study.is_sensitive = True
    desk.study.save()
    seat(page, site, desk)
    blurs = page.evaluate(BLURS)
    assert blurs[0] == blurs[1]
    assert blurs[0].startswith("blur(")
    token = revealed(page)
    for key in ("ArrowLeft", "t", "f", "o"):
        page.keyboard.press(key)
    for name in ("Left", "Right"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    page.reload()  # nothing of that counts as having agreed
    assert revealed(page) == token
    assert page.evaluate(BLURS) == blurs
    page.wait_for_timeout(1500)
    page.keyboard.press("h")
    expect(page.locator("body.covered")).to_have_count(0)
    assert page.evaluate(BLURS) == ["none", "none"]
    first = Enrolment.objects.get().agreed_to_see_at
    assert first is not None
    press(page, "ArrowLeft")
    assert choices() == ["left"]
    looked = Vote.objects.get().milliseconds
    assert looked is not None
    assert looked < 1500  # while it was blurred she looked at nothing
    assert page.evaluate(BLURS) == ["none", "none"]
    page.keyboard.press("h")  # blurred again, and the next one, too
    token = revealed(page)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(BLURS) == blurs
    page.keyboard.press("x")
    page.keyboard.press("5")
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(page)
    assert page.evaluate(BLURS) == blurs
    page.get_by_role("button", name="I want to see them").click()
    press(page, "ArrowRight")
    page.reload()
    revealed(page)
    assert page.evaluate(BLURS) == ["none", "none"]
    assert choices() == ["left", "right"]
    assert Enrolment.objects.get().agreed_to_see_at == first


def test_it_stays_blurred_while_the_server_cannot_keep_that_she_agreed(desk: Desk, site: str, page: Page) -> None:
    desk.study.is_sensitive = True
    desk.study.save()
    seat(page, site, desk)
    page.route("**/see/", lambda route: route.abort())
    page.keyboard.press("h")
    expect(page.locator("#notice")).to_have_text("The server does not answer; try again in a moment.")
    assert page.evaluate(BLURS)[0].startswith("blur(")
    page.unroute("**/see/")
    page.keyboard.press("h")
    expect(page.locator("body.covered")).to_have_count(0)


# -- breaks, progress ---------------------------------------------------------------------------------------------


def test_a_break_is_offered_between_two_pairs(desk: Desk, site: str, page: Page) -> None:
    RaterRules.objects.create(study=desk.study, break_after_minutes=20)
    seat(page, site, desk)
    rest = page.get_by_role("dialog", name="Time for a break")
    ago(page, 19)
    press(page, "ArrowLeft")
    expect(rest).to_be_hidden()
    ago(page, 2)
    press(page, "ArrowLeft")
    expect(rest).to_be_visible()
    expect(rest).to_contain_text("You have compared for 20 minutes.")
    page.keyboard.press("ArrowRight")  # no key answers under it
    page.wait_for_timeout(1500)
    assert choices() == ["left", "left"]
    page.keyboard.press("Enter")
    expect(rest).to_be_hidden()
    press(page, "ArrowRight")
    expect(rest).to_be_hidden()
    assert choices() == ["left", "left", "right"]
    looked = Vote.objects.latest("pk").milliseconds
    assert looked is not None
    assert looked < 1500  # the break is no looking


def test_progress_and_how_long_the_rest_takes(desk: Desk, site: str, page: Page) -> None:
    desk.study.votes_per_rater = 9
    desk.study.save()
    seat(page, site, desk)
    progress = page.locator(".progress")
    expect(progress).to_have_text("0 of 9 done")
    for done in (1, 2, 3):
        press(page, "ArrowLeft")
        expect(progress).to_contain_text(f"{done} of 9 done")
    expect(progress).to_contain_text("about 1 min left")
    page.evaluate(
        f"""() => {{
            const name = {SITTING}, sitting = JSON.parse(sessionStorage.getItem(name));
            sitting.paces = [90000, 40000, 60000, 50000];
            sessionStorage.setItem(name, JSON.stringify(sitting));
        }}"""
    )
    press(page, "ArrowLeft")  # the median of these four and this quick one is 50 seconds, and five are left
    expect(progress).to_contain_text("about 5 min left")
    page.reload()
    revealed(page)
    expect(progress).to_contain_text("4 of 9 done")
    expect(progress).to_contain_text("min left")


# -- time ---------------------------------------------------------------------------------------------------------


def test_time_away_is_counted_apart(seated: Page) -> None:
    """Another window has the focus for a while: really, without Playwright's pretence that each page has it."""
    session = seated.context.new_cdp_session(seated)
    session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    press(seated, "ArrowLeft")
    assert not Remark.objects.exists()
    revealed(seated)
    other = seated.context.new_page()
    other.bring_to_front()
    seated.wait_for_timeout(1200)
    other.close()
    seated.bring_to_front()
    seated.wait_for_timeout(300)
    before = timezone.now()
    press(seated, "ArrowRight")
    vote, remark = Vote.objects.get(choice="right"), Remark.objects.get()
    assert 1000 <= remark.away_milliseconds < 4000
    assert vote.milliseconds is not None
    assert vote.comparison.shown_at is not None
    both = timedelta(milliseconds=vote.milliseconds + remark.away_milliseconds)
    assert abs((before - vote.comparison.shown_at) - both) < timedelta(seconds=1.5)


@pytest.mark.parametrize("name", ["blur", "visibilitychange"])
def test_either_sign_of_being_away_counts(seated: Page, name: str) -> None:
    seated.evaluate(
        f"""() => {{
            Object.defineProperty(document, "hidden", {{ value: {str(name != "blur").lower()}, configurable: true }});
            ({"window" if name == "blur" else "document"}).dispatchEvent(new Event("{name}"));
        }}"""
    )
    seated.wait_for_timeout(600)
    token = revealed(seated)
    seated.keyboard.press("ArrowLeft")
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(seated)
    assert 550 <= Remark.objects.get().away_milliseconds < 5000
