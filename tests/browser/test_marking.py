"""Where a side is wrong: marked by mouse, keys and fingers, on pictures as they are zoomed, and on videos."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from raters.models import Remark
from tests.browser.rating import desk, press, revealed, seat, sent, site, until
from tests.browser.test_videos import desk as films
from tests.raters.conftest import Desk

__all__ = ["desk", "films", "site"]  # fixtures


@pytest.fixture
def marking(desk: Desk, site: str, page: Page) -> Page:
    desk.study.asks_region = True
    desk.study.save()
    return seat(page, site, desk)


def box(page: Page, selector: str, place: int = 0) -> dict[str, float]:
    found = page.locator(selector).nth(place).bounding_box()
    assert found is not None
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


def drag(page: Page, side: int, start: tuple[float, float], end: tuple[float, float]) -> None:
    """From and to shares of what is seen of a side."""
    pane = box(page, ".pane", side)
    at = [(pane["x"] + x * pane["width"], pane["y"] + y * pane["height"]) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=3)
    page.mouse.up()


def marked(page: Page) -> dict[str, Any]:
    text = page.locator("[name=region]").input_value()
    return dict(json.loads(text)) if text else {}


def on_picture(page: Page, side: int, x: float, y: float) -> tuple[float, float]:
    """A point of the window in shares of the picture."""
    picture = box(page, ".pane > :first-child", side)
    return (x - picture["x"]) / picture["width"], (y - picture["y"]) / picture["height"]


def test_a_rectangle_by_dragging(marking: Page) -> None:
    marking.keyboard.press("m")
    picture = box(marking, ".pane img", 1)
    marking.mouse.move(picture["x"] + 0.25 * picture["width"], picture["y"] + 0.5 * picture["height"])
    marking.mouse.down()
    marking.mouse.move(picture["x"] + 0.75 * picture["width"], picture["y"] + 0.75 * picture["height"], steps=3)
    marking.mouse.up()
    drawn = box(marking, ".pane:nth-child(2) .mark")
    assert drawn["x"] - picture["x"] == pytest.approx(0.25 * picture["width"], abs=2)
    assert drawn["width"] == pytest.approx(0.5 * picture["width"], abs=2)
    expect(marking.locator("#notice")).to_have_text("Marked on the right.")
    press(marking, "ArrowLeft")
    remark = Remark.objects.get()
    assert remark.side == "right"
    assert (remark.x, remark.y, remark.width, remark.height) == pytest.approx((0.25, 0.5, 0.5, 0.25), abs=0.01)
    assert marking.locator(".mark").count() == 0  # the next pair has none


def test_a_place_on_zoomed_pictures_stays_on_the_picture(marking: Page) -> None:
    for _ in range(4):
        marking.keyboard.press("+")
    marking.keyboard.press("Shift+ArrowRight")
    before = box(marking, ".pane img")
    marking.keyboard.press("m")
    drag(marking, 0, (0.25, 0.25), (0.75, 0.5))
    assert box(marking, ".pane img") == before  # dragging marked, and did not move them
    place = marked(marking)
    corner = box(marking, ".mark")
    assert on_picture(marking, 0, corner["x"], corner["y"]) == pytest.approx((place["x"], place["y"]), abs=0.01)
    for key in ("Shift+ArrowLeft", "+", "0"):
        marking.keyboard.press(key)
        corner, picture = box(marking, ".mark"), box(marking, ".pane img")
        assert on_picture(marking, 0, corner["x"], corner["y"]) == pytest.approx((place["x"], place["y"]), abs=0.01)
        assert corner["width"] == pytest.approx(place["width"] * picture["width"], abs=3)
    assert marked(marking) == place
    press(marking, "ArrowRight")
    assert Remark.objects.get().side == "left"


def test_by_keys_alone(marking: Page) -> None:
    marking.keyboard.press("m")
    expect(marking.locator("#notice")).to_contain_text("arrows move, Enter sets a corner")
    marking.keyboard.press("m")  # the other side
    marking.keyboard.press("ArrowUp")
    marking.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowDown"):
        marking.keyboard.press(key)
    marking.keyboard.press("t")  # no key answers while she marks
    marking.keyboard.press("Enter")
    picture = box(marking, ".pane img", 1)
    assert marked(marking) == {
        "side": "right",
        "x": pytest.approx(0.5, abs=0.02),
        "y": pytest.approx(0.5 - 24 / picture["height"], abs=0.02),
        "width": pytest.approx(48 / picture["width"], abs=0.01),
        "height": pytest.approx(27 / picture["height"], abs=0.01),
    }
    press(marking, "b")
    assert Remark.objects.get().side == "right"


def test_a_point_taken_back_and_set_anew(marking: Page) -> None:
    marking.keyboard.press("m")
    drag(marking, 0, (0.5, 0.5), (0.5, 0.5))
    assert marked(marking)["width"] == marked(marking)["height"] == 0
    expect(marking.get_by_role("button", name="Mark")).to_have_attribute("aria-pressed", "true")
    marking.keyboard.press("m")
    assert marked(marking) == {}
    assert marking.locator(".mark").count() == 0
    marking.keyboard.press("m")
    marking.keyboard.press("Escape")
    assert marking.locator(".aim").count() == 0
    drag(marking, 1, (0.4, 0.4), (0.6, 0.6))  # not marking: nothing is marked
    assert marked(marking) == {}
    marking.keyboard.down("Shift")  # held, dragging marks without the key before
    drag(marking, 1, (0.4, 0.4), (0.6, 0.6))
    marking.keyboard.up("Shift")
    assert marked(marking)["side"] == "right"
    press(marking, "ArrowLeft")
    assert Remark.objects.get().width


def test_one_at_a_time_and_under_the_slider(marking: Page) -> None:
    """The side is the one that is seen."""
    marking.keyboard.press("o")
    marking.keyboard.press("f")
    marking.keyboard.press("m")
    drag(marking, 0, (0.4, 0.4), (0.6, 0.6))
    seen = marking.locator(".which").get_attribute("data-side")
    assert marked(marking)["side"] == seen
    marking.keyboard.press("m")
    marking.keyboard.press("s")
    marking.keyboard.press("m")
    drag(marking, 0, (0.7, 0.5), (0.8, 0.6))
    assert marked(marking)["side"] == "right"


def test_by_finger_on_a_telephone(desk: Desk, site: str, page: Page) -> None:
    desk.study.asks_region = True
    desk.study.save()
    page.set_viewport_size({"width": 360, "height": 640})
    seat(page, site, desk)
    page.get_by_role("button", name="Mark").click()
    lower = box(page, ".pane img", 1)
    # What a finger sends; Playwright's own touchscreen knows taps only.
    client = page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.25), ("touchMove", 0.5), ("touchMove", 0.75), ("touchEnd", None)):
        at = (
            []
            if share is None
            else [{"x": lower["x"] + share * lower["width"], "y": lower["y"] + share * lower["height"]}]
        )
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    expect(page.locator("#notice")).to_have_text("Marked on the lower one.")
    token = revealed(page)
    page.get_by_role("button", name="Upper").click()
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(page)
    remark = Remark.objects.get()
    assert remark.side == "right"
    assert (remark.x, remark.width) == pytest.approx((0.25, 0.5), abs=0.02)


def test_an_undo_brings_the_mark_back(marking: Page, desk: Desk) -> None:
    token = revealed(marking)
    marking.keyboard.press("m")
    drag(marking, 1, (0.4, 0.4), (0.6, 0.6))
    place = marked(marking)
    press(marking, "ArrowLeft")
    marking.keyboard.press("u")
    expect(marking.locator(f'[data-comparison="{token}"][data-open]')).to_be_visible()
    sent(marking)
    assert marked(marking) == place
    marking.reload()
    assert revealed(marking) == token
    assert marked(marking) == pytest.approx(place) or marked(marking)["side"] == place["side"]
    expect(marking.locator(".pane:nth-child(2) .mark")).to_be_visible()


def test_on_videos(films: Desk, site: str, page: Page) -> None:
    """Marking stops both, so that there is a frame to point at."""
    films.study.asks_region = True
    films.study.save()
    seat(page, site, films)
    until(page, "[...document.querySelectorAll('video')].every((video) => !video.paused)")
    page.keyboard.press("m")
    until(page, "[...document.querySelectorAll('video')].every((video) => video.paused)")
    drag(page, 1, (0.4, 0.4), (0.6, 0.6))
    for key in ("+", "+"):
        page.keyboard.press(key)
    corner, place = box(page, ".mark"), marked(page)
    assert on_picture(page, 1, corner["x"], corner["y"]) == pytest.approx((place["x"], place["y"]), abs=0.01)
    press(page, "ArrowLeft")
    remark = Remark.objects.get()
    assert remark.side == "right"
    assert remark.seconds == pytest.approx(place["seconds"])
