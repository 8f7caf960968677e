"""A rater at a real Chromium: what she presses is what the database holds."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.sessions.models import Session
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from evalhub.studies.models import Criterion, Membership, Role, StudyState, User
from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import desk, pictures, press, revealed, seat, sign_in, site
from tests.raters.conftest import Desk, noise

__all__ = ["desk", "site"]  # fixtures

BUTTONS = ["Left", "Tie", "Both bad", "Right"]


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    return seat(page, site, desk)


def choices() -> list[str]:
    return list(Vote.objects.order_by("pk").values_list("choice", flat=True))


def wait_for_votes(count: int) -> None:
    deadline = time.monotonic() + 15
    while Vote.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert Vote.objects.count() == count


# -- answering ----------------------------------------------------------------------------------------------------


def test_by_keyboard_only(desk: Desk, site: str, page: Page) -> None:
    """From the consent text to the end of her share; six keys, six answers."""
    desk.study.votes_per_rater = 6
    desk.study.save()
    Membership.objects.create(study=desk.study, user=User.objects.create_user("ria"), role=Role.RATER)
    sign_in(page.context, site, "ria")
    page.goto(f"{site}/rate/study/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Begin")).to_be_focused()
    page.keyboard.press("Enter")
    for number, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowDown", "t", "B"]):
        expect(page.get_by_text(f"{number} of 6 done")).to_be_visible()
        press(page, key)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert choices() == ["left", "right", "tie", "tie", "both_bad", "left"]
    for vote in Vote.objects.select_related("comparison"):
        assert vote.milliseconds is not None
        assert 0 < vote.milliseconds < 15_000
        assert not vote.without_javascript
        assert vote.comparison.shown_at is not None
        assert vote.comparison.answered_at is not None
        assert vote.comparison.shown_at < vote.comparison.answered_at


def test_by_mouse(seated: Page) -> None:
    for name in BUTTONS:
        token = revealed(seated)
        seated.get_by_role("button", name=name).click()
        expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(seated)
    assert choices() == ["left", "tie", "both_bad", "right"]


def test_what_she_sees_is_what_she_answers(desk: Desk, site: str, page: Page) -> None:
    """She always takes the brighter picture: every vote is for the contestant that made it."""
    dark = desk.contestant("Dark", lambda place, _: Image.new("RGB", (48, 32), (10, 10, place)))
    bright = desk.contestant("Bright", lambda place, _: Image.new("RGB", (48, 32), (240, 240, place)))
    for other in desk.checkpoints[:3]:
        other.withdrawn_at, other.withdrawal_reason = timezone.now(), "A mistake in training."
        other.save()
    services.prepare_presentation(study=desk.study)
    seat(page, site, desk)
    for _ in range(6):
        token = revealed(page)
        left = page.evaluate(
            """() => {
                const image = document.querySelector(".pair img"), canvas = document.createElement("canvas");
                canvas.width = canvas.height = 1;
                canvas.getContext("2d").drawImage(image, 0, 0, 1, 1);
                return canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0];
            }"""
        )
        page.keyboard.press("ArrowLeft" if left > 128 else "ArrowRight")
        expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    (fit,) = services.refit(study=desk.study)
    assert fit.ratings.get(checkpoint=bright).wins == 6
    assert fit.ratings.get(checkpoint=dark).wins == 0


def test_a_key_held_or_hammered_is_one_vote(seated: Page) -> None:
    token = revealed(seated)
    for _ in range(8):
        seated.keyboard.down("ArrowLeft")  # the second and later ones are repeats, as of a held key
    seated.keyboard.up("ArrowLeft")
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    token = revealed(seated)
    seated.get_by_role("button", name="Right").dblclick()
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(seated)
    seated.wait_for_timeout(500)
    assert choices() == ["left", "right"]


def test_a_slow_double_click_is_one_vote(seated: Page) -> None:
    """Its second half comes when the next pair is already there, in the same place, unseen."""
    spot = seated.get_by_role("button", name="Right").bounding_box()
    assert spot is not None
    token = revealed(seated)
    seated.mouse.move(spot["x"] + 9, spot["y"] + 9)
    seated.mouse.down()
    seated.mouse.up()
    expect(seated.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    second = revealed(seated)
    seated.mouse.down(click_count=2)
    seated.mouse.up(click_count=2)
    seated.wait_for_timeout(500)
    assert revealed(seated) == second
    assert choices() == ["right"]
    seated.mouse.down()
    seated.mouse.up()
    expect(seated.locator(f'[data-comparison="{second}"]')).to_have_count(0)
    assert choices() == ["right", "right"]


def test_no_answer_is_taken_before_both_pictures_are_shown(desk: Desk, site: str, page: Page) -> None:
    """One picture is slow: nothing is revealed and nothing can be pressed until it is there; then both at once."""
    held: list[Route] = []

    def hold_second(route: Route) -> None:
        if held or len(seen) == 1:
            held.append(route)
        else:
            seen.append(route.request.url)
            route.continue_()

    seen: list[str] = []
    page.route("**/shown/*", hold_second)
    desk.rater("ria")
    sign_in(page.context, site, "ria")
    page.goto(f"{site}/rate/study/", wait_until="domcontentloaded")
    page.wait_for_timeout(700)
    assert len(seen) == 1
    assert len(held) >= 1
    images = page.locator(".pair img")
    for place in range(2):
        expect(images.nth(place)).not_to_be_visible()
    for name in BUTTONS:
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    assert not Vote.objects.exists()
    for route in held:
        route.continue_()
    page.unroute("**/shown/*")
    revealed(page)
    for place in range(2):
        expect(images.nth(place)).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('.pair img')].every((image) => image.complete)")
    press(page, "ArrowRight")
    assert choices() == ["right"]


def test_several_questions(desk: Desk, site: str, page: Page) -> None:
    Criterion.objects.create(study=desk.study, key="match", name="Match", question="Which fits the text?", position=1)
    seat(page, site, desk)
    token = revealed(page)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("group", name="Which picture is better?").get_by_label("Left")).to_be_checked()
    assert not Vote.objects.exists()
    page.keyboard.press("b")
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(page)
    assert dict(Vote.objects.values_list("criterion__key", "choice")) == {"quality": "left", "match": "both_bad"}


# -- going back ---------------------------------------------------------------------------------------------------


def test_undo_and_answer_again(seated: Page) -> None:
    first, sides = revealed(seated), pictures(seated)
    expect(seated.get_by_role("button", name="Undo")).to_have_count(0)
    press(seated, "ArrowLeft")
    seated.keyboard.press("u")
    expect(seated.locator(f'[data-comparison="{first}"][data-revealed]')).to_be_visible()
    assert pictures(seated) == sides
    press(seated, "ArrowRight")
    assert choices() == ["left", "withdrawn", "right"]
    assert [vote.choice for vote in Vote.objects.all().latest_revisions()] == ["right"]


def test_reload_and_back_show_the_same_pair(desk: Desk, site: str, seated: Page) -> None:
    press(seated, "ArrowLeft")
    token, sides = revealed(seated), pictures(seated)
    seated.reload()
    assert (revealed(seated), pictures(seated)) == (token, sides)
    seated.goto(f"{site}/studies/")
    seated.go_back()
    assert (revealed(seated), pictures(seated)) == (token, sides)
    assert choices() == ["left"]
    press(seated, "ArrowRight")
    assert choices() == ["left", "right"]
    seated.go_back()  # to where she was before the desk; nothing is sent again
    seated.wait_for_timeout(300)
    assert choices() == ["left", "right"]


def test_two_tabs_are_one_rater(desk: Desk, site: str, seated: Page) -> None:
    other = seated.context.new_page()
    other.goto(f"{site}/rate/study/")
    assert revealed(other) == revealed(seated)
    assert pictures(other) == pictures(seated)
    after = press(seated, "ArrowLeft")
    assert press(other, "ArrowRight") == after  # answered already: the first answer stands, both go on together
    assert choices() == ["left"]
    press(other, "ArrowRight")
    press(seated, "t")
    assert choices() == ["left", "right"]
    assert Comparison.objects.answered().count() == 2
    other.close()


# -- when the server is away --------------------------------------------------------------------------------------


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


# -- without JavaScript -------------------------------------------------------------------------------------------


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


# -- looks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (360, 640), (900, 400)])
def test_the_pictures_are_equal_large_and_sharp(desk: Desk, site: str, page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    seat(page, site, desk)
    boxes = [page.locator(".pair img").nth(place).bounding_box() for place in range(2)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert (boxes[0]["width"], boxes[0]["height"]) == (boxes[1]["width"], boxes[1]["height"])
    assert boxes[0]["width"] % 48 == 0  # enlarged by whole pixels
    beside = boxes[0]["y"] == boxes[1]["y"]
    assert beside == (width > height)
    panes = [page.locator(".pane").nth(place).bounding_box() for place in range(2)]
    assert panes[0] is not None
    assert min(panes[0]["width"] - boxes[0]["width"], panes[0]["height"] - boxes[0]["height"]) < 48
    # All of it is in the window: nothing has to be scrolled to.
    for name in BUTTONS if width > height else ["Upper", "Tie", "Both bad", "Lower"]:
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    assert page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= innerHeight"
    )


def test_a_picture_larger_than_its_pane_is_shown_whole(desk: Desk, site: str, page: Page) -> None:
    for checkpoint in desk.checkpoints:
        checkpoint.withdrawn_at, checkpoint.withdrawal_reason = timezone.now(), "A mistake in training."
        checkpoint.save()
    for name in ("Wide", "Wider"):
        desk.contestant(name, lambda place, number: noise(place, number).resize((1600, 1000)))
    services.prepare_presentation(study=desk.study)
    seat(page, site, desk)
    for place in range(2):
        box = page.locator(".pair img").nth(place).bounding_box()
        assert box is not None
        assert box["width"] / box["height"] == pytest.approx(1.6, abs=0.01)
        expect(page.locator(".pair img").nth(place)).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [1400, 360])
def test_axe_finds_nothing(desk: Desk, site: str, page: Page, width: int) -> None:
    desk.study.votes_per_rater = 1
    desk.study.save()
    Membership.objects.create(study=desk.study, user=User.objects.create_user("ria"), role=Role.RATER)
    sign_in(page.context, site, "ria")
    page.set_viewport_size({"width": width, "height": 900})
    found = {}

    def look(state: str) -> None:
        result = Axe().run(page)
        if result.violations_count:
            found[state] = result.generate_report()

    page.goto(f"{site}/rate/study/")
    look("consent")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Begin").wait_for()
    look("instructions")
    page.get_by_role("button", name="Begin").click()
    revealed(page)
    look("pair")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="Thank you").wait_for()
    look("done")
    desk.study.state = StudyState.PAUSED
    desk.study.save()
    page.reload()
    look("paused")
    assert not found, "\n".join(f"{state}:\n{report}" for state, report in found.items())
