"""The server is away, or changes its mind, while a rater answers: nothing is lost and nothing counts twice."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from evalhub.studies.models import StudyState
from raters.models import Comparison, Vote
from tests.browser.rating import choices, desk, press, revealed, seated, sign_in, site, wait_for_votes
from tests.raters.conftest import Desk

__all__ = ["desk", "seated", "site"]  # fixtures


def test_an_answer_waits_in_the_browser_while_the_server_is_away(seated: Page) -> None:
    token = revealed(seated)
    seated.context.set_offline(True)
    seated.keyboard.press("ArrowLeft")
    expect(seated.get_by_text("Your answer is kept in this browser and will be sent")).to_be_visible()
    seated.keyboard.press("ArrowRight")
    seated.wait_for_timeout(1500)
    assert not Vote.objects.exists()
    assert seated.evaluate("Object.keys(localStorage).length") == 1
    seated.context.set_offline(False)
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(seated)
    expect(seated.locator("#notice")).to_have_text("")
    assert choices() == ["left"]
    assert seated.evaluate("Object.keys(localStorage).length") == 0
    press(seated, "b")
    assert choices() == ["left", "both_bad"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_server_loses_nothing(seated: Page, status: int) -> None:
    failures = [status, status]

    def fail(route: Route) -> None:
        route.fulfill(status=failures.pop(), body="down") if failures else route.continue_()

    seated.route("**/vote/", fail)
    press(seated, "ArrowRight")
    assert failures == []
    assert choices() == ["right"]


def test_an_answer_stored_whose_confirmation_was_lost_counts_once(seated: Page) -> None:
    lost: list[int] = []

    def lose_the_answer(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch().status)  # it reached the server
            route.abort()

    seated.route("**/vote/", lose_the_answer)
    press(seated, "ArrowLeft")
    assert lost == [200]
    assert choices() == ["left"]


def test_closing_the_browser_with_an_answer_unsent(desk: Desk, site: str, seated: Page) -> None:
    token = revealed(seated)
    seated.route("**/vote/", lambda route: route.abort())
    seated.keyboard.press("ArrowDown")
    expect(seated.get_by_text("kept in this browser")).to_be_visible()
    context = seated.context
    seated.close()
    assert not Vote.objects.exists()
    later = context.new_page()
    later.goto(f"{site}/rate/study/")
    wait_for_votes(1)
    assert revealed(later) != token
    assert choices() == ["tie"]
    later.close()


def test_paused_under_her(desk: Desk, site: str, seated: Page) -> None:
    """The pause is shown, and the answer that came too late is sent when the study opens again."""
    desk.study.state = StudyState.PAUSED
    desk.study.save()
    seated.keyboard.press("ArrowLeft")
    expect(seated.get_by_role("heading", name="This study is paused")).to_be_visible()
    assert not Vote.objects.exists()
    desk.study.state = StudyState.OPEN
    desk.study.save()
    seated.goto(f"{site}/rate/study/")
    wait_for_votes(1)
    revealed(seated)
    assert choices() == ["left"]


def test_signed_out_under_her(desk: Desk, site: str, seated: Page) -> None:
    Session.objects.all().delete()
    seated.keyboard.press("ArrowLeft")
    expect(seated).to_have_url(re.compile("/accounts/login/"))
    assert not Vote.objects.exists()
    sign_in(seated.context, site, "ria")
    seated.goto(f"{site}/rate/study/")
    wait_for_votes(1)
    revealed(seated)
    assert choices() == ["left"]


def test_a_page_older_than_its_tokens(desk: Desk, site: str, seated: Page) -> None:
    token = revealed(seated)
    Comparison.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    seated.keyboard.press("ArrowLeft")
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(seated)
    assert not Vote.objects.exists()
    press(seated, "ArrowRight")
    assert choices() == ["right"]
