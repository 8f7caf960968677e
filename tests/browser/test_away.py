"""The server is away, or changes its mind, while a rater answers: she goes on; nothing is lost or counts twice."""

import re
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Dialog, Page, Route, expect

from evalhub.studies.models import Membership, StudyState
from raters.models import Comparison, Vote
from raters.services import offering
from tests.browser.rating import (
    choices,
    desk,
    press,
    revealed,
    seat,
    seated,
    sent,
    sign_in,
    site,
    until,
    wait_for_votes,
)
from tests.raters.conftest import Desk

__all__ = ["desk", "seated", "site"]  # fixtures

KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "t", "both_bad": "b"}
UNSENT = "Object.keys(localStorage).filter((name) => name.startsWith('evalhub.unsent.')).length"


def fetched_ahead(page: Page, pairs: int) -> None:
    """Wait until the page holds so many pairs, the one that is shown among them, with their pictures."""
    held = "navigator.locks.query().then(({ held }) => held.filter(({ name }) => name.includes('.shown.')).length)"
    until(page, f"{held}.then((number) => number >= {pairs})")
    page.wait_for_load_state("networkidle")


def answer(page: Page, choice: str) -> str:
    """Answer by key while nobody confirms; returns the next pair's token."""
    token = revealed(page)
    page.keyboard.press(KEYS[choice])
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    return revealed(page)


def in_order() -> list[tuple[str, str]]:
    votes = Vote.objects.order_by("pk").values_list("comparison__token", "choice")
    return list(votes)


# -- away ---------------------------------------------------------------------------------------------------------


def test_voting_goes_on_while_the_network_is_away(seated: Page) -> None:
    """Several votes, an undo of one that is queued and of one that was sent; all arrive once, in order."""
    first = revealed(seated)
    press(seated, "ArrowLeft")
    fetched_ahead(seated, 8)
    seated.context.set_offline(True)
    given, tokens = ["right", "tie", "both_bad"], []
    for choice in given:
        tokens.append(revealed(seated))
        answer(seated, choice)
    expect(seated.locator("#unsent")).to_have_text("3 answers waiting for the server")
    expect(seated.locator("#notice")).to_contain_text("kept in this browser")
    seated.keyboard.press("u")
    expect(seated.locator(f'[data-comparison="{tokens[2]}"][data-open]')).to_be_visible()
    answer(seated, "left")
    assert choices() == ["left"]
    assert seated.evaluate(UNSENT) == 5
    seated.context.set_offline(False)
    sent(seated)
    expect(seated.locator("#unsent")).to_have_text("")
    expect(seated.locator("#notice")).to_have_text("")
    assert in_order() == [
        (first, "left"),
        *zip(tokens, given, strict=True),
        (tokens[2], "withdrawn"),
        (tokens[2], "left"),
    ]
    for vote in Vote.objects.exclude(choice="withdrawn").select_related("comparison"):
        assert vote.comparison.shown_at is not None
        assert vote.comparison.created_at <= vote.comparison.shown_at <= vote.created_at
        assert vote.milliseconds is not None
    # Two steps back, into what the server has had for long.
    for token in (tokens[2], tokens[1]):
        seated.keyboard.press("u")
        expect(seated.locator(f'[data-comparison="{token}"][data-open]')).to_be_visible()
    press(seated, "ArrowRight")
    latest = Vote.objects.all().latest_revisions().order_by("comparison_id")
    assert [vote.choice for vote in latest] == ["left", "right", "right"]


def test_more_than_was_fetched_ahead_waits(seated: Page) -> None:
    fetched_ahead(seated, offering.AHEAD + 1)
    seated.context.set_offline(True)
    for _ in range(offering.AHEAD):
        answer(seated, "left")
    last = revealed(seated)
    seated.keyboard.press("ArrowLeft")
    expect(seated.locator("#unsent")).to_have_text(f"{offering.AHEAD + 1} answers waiting for the server")
    seated.keyboard.press("ArrowRight")
    seated.wait_for_timeout(500)
    assert seated.evaluate(UNSENT) == offering.AHEAD + 1
    seated.context.set_offline(False)
    expect(seated.locator(f'[data-comparison="{last}"]')).to_have_count(0)
    revealed(seated)
    sent(seated)
    assert choices() == ["left"] * (offering.AHEAD + 1)
    assert set(Counter(Vote.objects.values_list("comparison", flat=True)).values()) == {1}


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
    assert lost == [204]
    assert choices() == ["left"]


# -- leaving, and coming back -------------------------------------------------------------------------------------


def test_leaving_with_an_answer_unsent(desk: Desk, site: str, seated: Page) -> None:
    """She is warned; a reload, a step back and a browser that crashes lose nothing."""
    token = revealed(seated)
    seated.route("**/vote/", lambda route: route.abort())
    second = answer(seated, "tie")
    warned: list[str] = []

    def leave(dialog: Dialog) -> None:
        warned.append(dialog.type)
        dialog.accept()

    seated.on("dialog", leave)
    seated.reload()
    assert warned == ["beforeunload"]
    assert revealed(seated) == second
    expect(seated.locator("#unsent")).to_have_text("1 answer waiting for the server")
    answer(seated, "left")
    seated.goto(f"{site}/studies/")
    seated.go_back()
    third = revealed(seated)
    assert third not in {token, second}
    answer(seated, "right")
    context = seated.context
    seated.close(run_before_unload=False)
    assert not Vote.objects.exists()
    later = context.new_page()
    later.goto(f"{site}/rate/study/")
    wait_for_votes(3)
    revealed(later)
    assert in_order() == [(token, "tie"), (second, "left"), (third, "right")]
    later.close()


def test_two_tabs_that_are_both_away(desk: Desk, site: str, seated: Page) -> None:
    other = seated.context.new_page()
    other.goto(f"{site}/rate/study/")
    revealed(other)
    fetched_ahead(other, 4)
    seated.context.set_offline(True)
    tokens = []
    for tab, choice in ((seated, "left"), (other, "right"), (seated, "tie"), (other, "both_bad")):
        tokens.append((revealed(tab), choice))
        answer(tab, choice)
    seated.close(run_before_unload=False)  # the other one sends for both
    other.context.set_offline(False)
    wait_for_votes(4)
    sent(other)
    assert in_order() == tokens
    other.close()


@pytest.mark.parametrize("broken", ["full", "forbidden"])
def test_a_browser_that_keeps_nothing(desk: Desk, site: str, page: Page, broken: str) -> None:
    """The queue lives as long as the page, and she is told to leave it open."""
    scripts = {
        "full": "Storage.prototype.setItem = () => { throw new DOMException('It is full', 'QuotaExceededError'); };",
        "forbidden": """for (const name of ["localStorage", "sessionStorage"]) {
            Object.defineProperty(window, name, { get() { throw new DOMException("Forbidden", "SecurityError"); } });
        }""",
    }
    page.add_init_script(scripts[broken])
    seat(page, site, desk)
    fetched = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/shown/')).length"
    until(page, f"{fetched} >= 8")
    page.wait_for_load_state("networkidle")
    page.route("**/vote/", lambda route: route.abort())
    for choice in ("left", "tie"):
        answer(page, choice)
    expect(page.locator("#notice")).to_contain_text("leave this page open")
    expect(page.locator("#unsent")).to_have_text("2 answers waiting for the server")
    page.unroute("**/vote/")
    wait_for_votes(2)
    assert choices() == ["left", "tie"]


def test_a_clock_that_is_set_meanwhile(seated: Page) -> None:
    """Years on, years back: order and times are kept by other means."""
    seated.evaluate("""() => {
        const now = Date.now;
        let turn = 0;
        Date.now = () => now() + (turn++ % 2 ? -1 : 1) * 9e10;
    }""")
    seated.route("**/vote/", lambda route: route.abort())
    fetched_ahead(seated, 4)
    tokens = []
    for choice in ("left", "tie", "right"):
        tokens.append((revealed(seated), choice))
        answer(seated, choice)
    seated.unroute("**/vote/")
    wait_for_votes(3)
    assert in_order() == tokens
    for comparison in Comparison.objects.answered():
        assert comparison.shown_at is not None
        assert timezone.now() - comparison.shown_at < timedelta(minutes=1)


# -- the study, or she, is no longer there ------------------------------------------------------------------------


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.CLOSED])
def test_not_open_any_more(desk: Desk, site: str, seated: Page, state: str) -> None:
    """The page says so, and what came too late is sent should the study open again."""
    desk.study.state = state
    desk.study.save()
    seated.keyboard.press("ArrowLeft")
    expect(seated.get_by_role("heading", name=f"This study is {state}")).to_be_visible()
    expect(seated.locator("#unsent")).to_have_text("1 answer waiting for the server")
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


def test_removed_under_her(desk: Desk, site: str, seated: Page) -> None:
    membership = Membership.objects.get(user__username="ria")
    membership.delete()
    seated.keyboard.press("ArrowLeft")
    expect(seated.locator("#desk")).to_have_count(0)
    assert not Vote.objects.exists()
    Membership.objects.create(study=desk.study, user=membership.user, role=membership.role)
    seated.goto(f"{site}/rate/study/")
    wait_for_votes(1)
    assert choices() == ["left"]


def test_an_answer_later_than_its_lease(desk: Desk, site: str, seated: Page) -> None:
    """Taken, for days; after that the pair is offered anew and she is told."""
    token = revealed(seated)
    Comparison.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    press(seated, "ArrowLeft")
    assert in_order() == [(token, "left")]
    second = revealed(seated)
    Comparison.objects.update(expires_at=timezone.now() - Comparison.LATE)
    answer(seated, "right")
    expect(seated.locator("#notice")).to_contain_text("too late")
    sent(seated)
    assert choices() == ["left"]
    seated.reload()
    assert revealed(seated) == second
    press(seated, "t")
    assert in_order() == [(token, "left"), (second, "tie")]
