"""Looking closely, in a real Chromium: what is done to one picture is done to the other, point for point."""

import io

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from raters import services
from raters.models import Vote
from tests.browser.rating import press, revealed, seat, site, until
from tests.raters.conftest import Desk, make_desk

__all__ = ["site"]  # a fixture

WHITE, GREY = (255, 255, 255), (118, 118, 118)


def ramp(width: int, height: int, shift: int) -> Image.Image:
    """Every column has its own colour, so that a screenshot tells which part is seen."""
    return (
        Image.linear_gradient("L")
        .rotate(90)
        .resize((width, height))
        .point(lambda level: level // 2 + shift)
        .convert("RGB")
    )


@pytest.fixture
def desk(site: str) -> Desk:
    """Two contestants whose large pictures differ by five levels everywhere."""
    desk = make_desk(prompts=3)
    desk.contestant("Alpha", lambda _place, _seed: ramp(1600, 1000, 0))
    desk.contestant("Beta", lambda _place, _seed: ramp(1600, 1000, 5))
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    return seat(page, site, desk)


def boxes(page: Page) -> list[tuple[float, float, float, float]]:
    """Where each picture lies in its own pane: x, y, width, height in CSS pixels."""
    return [
        tuple(box)
        for box in page.evaluate(
            """() => [...document.querySelectorAll(".pane")].map((pane) => {
                const [outer, inner] = [pane, pane.querySelector("img")].map((each) => each.getBoundingClientRect());
                return [inner.x - outer.x, inner.y - outer.y, inner.width, inner.height];
            })"""
        )
    ]


def in_step(page: Page) -> tuple[float, float, float, float]:
    """Asserts that both pictures lie alike in their panes, and says how."""
    left, right = boxes(page)
    assert left == pytest.approx(right, abs=0.51)
    return left


def spotless(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def level(page: Page, x: float, y: float) -> int:
    """The brightness of the window at a point."""
    shot = Image.open(io.BytesIO(page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})))
    pixel = shot.convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def middle(page: Page, place: int) -> tuple[float, float]:
    box = page.locator(".pane").nth(place).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_zoom_and_move_by_keys(seated: Page) -> None:
    whole = in_step(seated)
    seated.keyboard.press("z")
    assert in_step(seated)[2:] == (1600, 1000)  # a picture's pixel is a screen's
    before = in_step(seated)
    seated.keyboard.press("Shift+ArrowRight")
    assert in_step(seated)[0] < before[0]
    assert in_step(seated)[1] == before[1]
    for _ in range(20):
        seated.keyboard.press("Shift+ArrowLeft")
    assert in_step(seated)[0] == 0  # not beyond the picture's edge
    seated.keyboard.press("+")
    assert in_step(seated)[2] == 3200  # the next whole number
    seated.keyboard.press("-")
    seated.keyboard.press("-")
    assert 800 < in_step(seated)[2] < 1600
    seated.keyboard.press("0")
    assert in_step(seated) == whole
    assert Vote.objects.count() == 0  # none of these keys answers


def test_the_wheel_zooms_where_it_points(seated: Page) -> None:
    """The picture's point under the pointer stays there, in both panes."""
    x, y = middle(seated, 1)
    seated.mouse.move(x + 150, y + 60)
    before = level(seated, x + 150, y + 60)
    for _ in range(4):
        seated.mouse.wheel(0, -200)
    until(seated, "document.querySelector('.pair img').getBoundingClientRect().width >= 1600")
    in_step(seated)
    assert abs(level(seated, x + 150, y + 60) - before) <= 2
    seated.mouse.down()
    seated.mouse.move(x + 50, y + 60)
    seated.mouse.up()
    moved = in_step(seated)
    seated.mouse.move(x, y)  # no button is down any more
    assert in_step(seated) == moved
    seated.mouse.dblclick(x, y)
    assert in_step(seated)[2] < 1600


def test_fingers_pinch_and_swipe(desk: Desk, site: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    page = context.new_page()
    seat(page, site, desk)
    touch = context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(points)]},
        )

    x, y = middle(page, 0)
    before = in_step(page)[2]
    fingers("touchStart", (x - 20, y), (x + 20, y))
    for spread in (30, 45, 60, 80):
        fingers("touchMove", (x - spread, y), (x + spread, y))
    fingers("touchEnd")
    assert in_step(page)[2] > 2 * before
    page.get_by_role("button", name="View").click()
    page.get_by_role("button", name="Whole").click()
    page.get_by_role("button", name="One at a time").click()
    page.keyboard.press("Escape")
    expect(page.locator(".which")).to_have_text("Upper", use_inner_text=True)
    x, y = middle(page, 0)
    fingers("touchStart", (x + 60, y))
    for across in (30, 0, -30):
        fingers("touchMove", (x + across, y))
    fingers("touchEnd")
    expect(page.locator(".which")).to_have_text("Lower", use_inner_text=True)
    context.close()


def test_each_place_shows_the_other_while_held(seated: Page) -> None:
    left, right = middle(seated, 0), middle(seated, 1)
    before = level(seated, *left), level(seated, *right)
    assert before[0] != before[1]
    seated.keyboard.down("f")
    assert (level(seated, *left), level(seated, *right)) == before[::-1]
    seated.keyboard.press("ArrowLeft")  # a mistake while the sides are swapped answers nothing
    seated.keyboard.up("f")
    assert (level(seated, *left), level(seated, *right)) == before
    assert Vote.objects.count() == 0
    press(seated, "ArrowLeft")
    assert Vote.objects.count() == 1


def test_one_over_the_other(seated: Page) -> None:
    """One at a time, under a slider, and as an amplified difference: five levels, forty when seen eightfold."""
    seated.keyboard.press("o")
    expect(seated.locator(".which")).to_have_text("Left", use_inner_text=True)
    spot = middle(seated, 0)
    left = level(seated, *spot)
    seated.keyboard.down("f")
    expect(seated.locator(".which")).to_have_text("Right", use_inner_text=True)
    right = level(seated, *spot)
    seated.keyboard.up("f")
    assert abs(left - right) == 5
    seated.keyboard.press("s")
    slider = seated.get_by_role("slider")
    slider.fill("90")
    cut_off = level(seated, *spot)
    slider.fill("10")
    assert level(seated, *spot) - cut_off == right - left
    slider.focus()
    seated.keyboard.press("ArrowRight")  # moves the slider and is no answer
    assert slider.input_value() == "11"
    seated.keyboard.press("d")
    assert level(seated, *spot) == pytest.approx(40, abs=2)
    slider.fill("16")
    assert level(seated, *spot) == pytest.approx(80, abs=2)
    assert Vote.objects.count() == 0
    seated.keyboard.press("d")
    assert in_step(seated)
    # The view stays from pair to pair.
    seated.keyboard.press("o")
    seated.locator("body").click(position={"x": 5, "y": 5})
    press(seated, "ArrowRight")
    assert seated.locator(".pair").get_attribute("data-view") == "single"


def test_the_panel_and_the_list_of_keys(seated: Page) -> None:
    seated.keyboard.press("v")
    expect(seated.get_by_role("button", name="Slider")).to_be_visible()
    spotless(seated)
    seated.keyboard.press("Escape")
    seated.keyboard.press("?")
    expect(seated.get_by_role("dialog", name="Keys")).to_be_visible()
    spotless(seated)
    seated.keyboard.press("ArrowLeft")  # not while the list is open
    seated.keyboard.press("Escape")
    expect(seated.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert Vote.objects.count() == 0
    revealed(seated)
    press(seated, "ArrowLeft")
    assert Vote.objects.count() == 1
