"""What a prompt gives, beside its outputs, in a real Chromium: source and reference by key, the mask's outline."""

import io

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import press, revealed, seat, site, until
from tests.raters.conftest import Desk, make_desk, png, store

__all__ = ["site"]  # a fixture

SIZE = (1600, 1000)
SOURCE, REFERENCE, OUTPUTS = 40, 210, (90, 160)
BOX = (400, 300, 1000, 700)  # the mask's white part


def plain(level: int) -> Image.Image:
    return Image.new("RGB", SIZE, (level, level, level))


def mask() -> Image.Image:
    picture = Image.new("L", SIZE, 0)
    picture.paste(255, BOX)
    return picture


@pytest.fixture
def desk(site: str) -> Desk:
    """An editing study: two contestants of one level each; the last prompt has no source, mask and reference."""
    desk = make_desk(prompts=3)
    for name in ("Alpha", "Beta"):
        desk.contestant(name, lambda _place, number: plain(OUTPUTS[number]))
    given = {
        name: store(desk.study, png(picture), "png")
        for name, picture in {"source": plain(SOURCE), "mask": mask(), "reference": plain(REFERENCE)}.items()
    }
    for prompt in desk.prompts[:2]:
        for name, media in given.items():
            setattr(prompt, name, media)
        prompt.text = "Make the sky darker, and leave everything else as it is."
        prompt.save()
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    """A rater before a pair whose prompt gives something."""
    page.set_viewport_size({"width": 1400, "height": 900})
    seat(page, site, desk)
    if not page.locator(".attachments").count():
        press(page, "ArrowDown")
    return page


def window(page: Page) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L")).astype(int)


def box_of(place: Locator) -> FloatRect:
    box = place.bounding_box()
    assert box is not None
    return box


def levels(page: Page) -> list[int]:
    """The level in the middle of each pane, the context's too, from the left."""
    boxes = sorted([box_of(pane) for pane in page.locator(".pane, .context").all()], key=lambda box: box["x"])
    seen = window(page)
    return [int(seen[round(box["y"] + box["height"] / 2) + 3, round(box["x"] + box["width"] / 2) + 3]) for box in boxes]


def outputs(page: Page) -> list[int]:
    """The levels of what is left and right."""
    comparison = Comparison.objects.get(token=revealed(page))
    level = {"Alpha": OUTPUTS[0], "Beta": OUTPUTS[1]}
    return [level[comparison.left_checkpoint.name], level[comparison.right_checkpoint.name]]


def spotless(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_source_and_reference_in_place_and_beside(seated: Page) -> None:
    page = seated
    left, right = outputs(page)
    votes = Vote.objects.count()
    assert levels(page) == [left, right]
    spotless(page)
    for key, level in (("i", SOURCE), ("r", REFERENCE)):
        page.keyboard.down(key)
        until(page, "document.querySelector('.pair[data-instead]') !== null")
        assert levels(page) == [level, level]
        page.keyboard.press("ArrowLeft")  # nothing is answered while neither side is seen
        page.keyboard.up(key)
        until(page, "document.querySelector('.pair[data-instead]') === null")
        assert levels(page) == [left, right]
    assert Vote.objects.count() == votes
    button = page.get_by_role("button", name="Source: in place")
    button.hover()
    page.mouse.down()
    until(page, "document.querySelector('.pair[data-instead=source]') !== null")
    assert levels(page) == [SOURCE, SOURCE]
    page.mouse.up()
    until(page, "document.querySelector('.pair[data-instead]') === null")

    page.keyboard.press("Shift+R")
    expect(page.locator(".context")).to_contain_text("Reference")
    page.wait_for_timeout(200)
    assert levels(page) == [left, REFERENCE, right]
    spotless(page)
    # It moves with the sides.
    page.keyboard.press("z")
    page.keyboard.press("Shift+ArrowRight")
    until(
        page,
        "new Set([...document.querySelectorAll('.pane > img, .context > img')].map((one) => one.style.translate)).size"
        " === 1",
    )
    page.keyboard.press("Shift+I")
    page.wait_for_timeout(200)
    assert levels(page) == [left, SOURCE, right]
    # The choice stays from pair to pair, where there is one.
    press(page, "ArrowLeft")
    expect(page.locator(".context")).to_have_count(page.locator(".attachments").count())


def test_the_masks_outline_is_sharp_at_any_zoom(seated: Page) -> None:
    page = seated
    before = window(page)
    page.keyboard.press("k")
    expect(page.locator(".outline")).to_have_count(2)
    page.wait_for_timeout(200)
    spotless(page)

    def lines() -> list[int]:
        """How many screen rows are light in a column of each pane."""
        page.wait_for_timeout(200)
        now = window(page)
        found = []
        for box in [box_of(pane) for pane in page.locator(".pane").all()]:
            x = round(box["x"] + box["width"] / 2) - 40
            top, bottom = round(box["y"]), round(box["y"] + box["height"])
            column = now[top:bottom, x]
            found.append(int((column > 200).sum()))
        return found

    thin = lines()
    assert thin[0] == thin[1] > 0
    changed = window(page) != before
    for pane in page.locator(".pane").all():
        box = box_of(pane)
        part = changed[
            round(box["y"]) : round(box["y"] + box["height"]), round(box["x"]) : round(box["x"] + box["width"])
        ]
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        scale = min(box["width"] / SIZE[0], box["height"] / SIZE[1])
        corner = (box["width"] - SIZE[0] * scale) / 2, (box["height"] - SIZE[1] * scale) / 2
        seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        expected = [corner[place % 2] + BOX[place] * scale for place in range(4)]
        assert seen == pytest.approx(expected, abs=4)
    # Enlarged many times, its edge is as thin as before.
    page.keyboard.press("z")
    for _ in range(8):
        page.keyboard.press("+")
    for _ in range(25):
        if lines()[0]:
            break
        for _ in range(6):
            page.keyboard.press("Shift+ArrowUp")
    assert 1 <= lines()[0] <= 3
    assert lines()[0] == lines()[1]
    page.keyboard.press("0")
    page.keyboard.press("k")
    page.wait_for_timeout(200)
    assert (window(page)[200:700] == before[200:700]).all()
    # From pair to pair, and back, the choice stays; where a prompt has no mask, there is no outline.
    page.keyboard.press("k")
    for key in ("ArrowLeft", "u"):
        press(page, key)
        expect(page.locator(".outline")).to_have_count(2 * page.locator("[data-given=mask]").count())


def test_on_a_phone(seated: Page) -> None:
    page = seated
    page.set_viewport_size({"width": 360, "height": 640})
    spotless(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Mask").click()
    page.get_by_role("button", name="Beside the sides: the source").click()
    expect(page.locator(".context")).to_be_visible()
    page.wait_for_timeout(200)
    places = [box_of(pane) for pane in page.locator(".pane, .context").all()]
    assert len({round(place["x"]) for place in places}) == 1  # one above the other
    spotless(page)
