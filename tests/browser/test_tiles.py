"""Large pictures in a real Chromium: two locked OpenSeadragon viewers that see the same place in the same frame."""

import io

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from skimage import data

from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import press, revealed, seat, site, until
from tests.raters.conftest import Desk, make_desk, png, store

__all__ = ["site"]  # a fixture

SIZE = (6000, 4500)
Pixels = NDArray[np.uint8]


def photograph(shift: int) -> Image.Image:
    """A real photograph, enlarged; `shift` levels brighter."""
    small = Image.fromarray(data.astronaut()[:384])
    return small.resize(SIZE, Image.Resampling.BICUBIC).point(lambda level: level // 2 + shift)


# Moves both, frame by frame, and says what each canvas has in its middle at the end of each frame.
FRAMES = """async () => {
    const { viewer } = await import(document.querySelector("script[src*=rating]").src.replace("rating", "looking"));
    const canvases = [...document.querySelectorAll(".pane canvas")];
    const middle = (canvas) => canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0];
    const seen = [];
    for (let frame = 0; frame < 24; frame += 1) {
        viewer.move(frame % 2 ? -31 : 17, 11);
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        seen.push(canvases.map(middle));
    }
    return seen;
}"""

# Whether every picture that is seen has all its tiles for the place where it is.
FULLY_LOADED = """(async () => {
    const { viewer } = await import(document.querySelector("script[src*=rating]").src.replace("rating", "looking"));
    const seen = viewer.layers.filter(({ drawing, element }) => drawing && element.checkVisibility());
    return seen.every(({ drawing }) => drawing.isOpen() && drawing.world.getItemAt(0).getFullyLoaded());
})()"""


@pytest.fixture
def desk(site: str) -> Desk:
    desk = make_desk(prompts=1, presentation_edge=8192)
    drawn = {number: photograph(shift) for number, shift in enumerate((0, 40, 80))}
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name, lambda _place, number: drawn[number], compress_level=1)
    (prompt,) = desk.prompts
    prompt.source = store(desk.study, png(Image.fromarray(data.astronaut()[:384])), "png")
    prompt.save()
    services.prepare_presentation(study=desk.study)
    return desk


@pytest.fixture
def seated(desk: Desk, site: str, page: Page) -> Page:
    page.set_viewport_size({"width": 1400, "height": 900})
    return seat(page, site, desk)


def panes(page: Page) -> list[Pixels]:
    """What is seen in each pane."""
    shots = [pane.screenshot() for pane in page.locator(".pane").all()]
    return [np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int) for shot in shots]


def drawn(page: Page) -> None:
    """Wait until everything that is seen is drawn at the finest level that shows."""
    page.wait_for_timeout(100)  # the viewers see their new place in their next frame
    until(page, FULLY_LOADED)
    page.wait_for_timeout(200)


def shifts(page: Page) -> tuple[int, int]:
    """By how many levels each side is brighter than the darkest contestant."""
    comparison = Comparison.objects.get(token=revealed(page))
    of = {"Alpha": 0, "Beta": 40, "Gamma": 80}
    return of[comparison.left_checkpoint.name], of[comparison.right_checkpoint.name]


def in_step(page: Page) -> float:
    """Asserts that both panes show the same place; returns by how much the right one is brighter."""
    left, right = panes(page)
    height, width = min(left.shape[0], right.shape[0]), min(left.shape[1], right.shape[1])
    difference = right[:height, :width] - left[:height, :width]
    seen = np.abs(left[:height, :width] - 118).max(axis=2) > 3  # the surround is equal
    inner = difference[seen & (np.abs(right[:height, :width] - 118).max(axis=2) > 3)]
    middle = float(np.median(inner))
    assert np.mean(np.abs(inner - middle) <= 2) > 0.97
    return middle


def mean(page: Page) -> float:
    """The brightness of a place that is in the left pane while there are two."""
    shot = page.screenshot(clip={"x": 550, "y": 450, "width": 40, "height": 40})
    return float(np.asarray(Image.open(io.BytesIO(shot)).convert("L")).mean())


def nearby(whole: Pixels, seen: Pixels) -> int:
    """How far what is seen is, at its most different pixel, from the middle of the picture, a few pixels from there."""
    height, width = seen.shape[:2]
    top, left = (SIZE[1] - height) // 2, (SIZE[0] - width) // 2
    places = [(y, x) for y in range(top - 5, top + 6) for x in range(left - 5, left + 6)]
    return min(int(np.abs(whole[y : y + height, x : x + width].astype(int) - seen).max()) for y, x in places)


def test_two_large_pictures_are_one_to_look_at(seated: Page) -> None:
    page = seated
    left, right = shifts(page)
    assert page.locator(".pane .openseadragon-canvas canvas").count() == 2
    assert in_step(page) == pytest.approx(right - left, abs=1)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()

    # One to one: the very pixels, at the middle of the picture.
    page.keyboard.press("z")
    drawn(page)
    assert in_step(page) == pytest.approx(right - left, abs=1)
    seen = panes(page)[0][10:-10, 10:-10]  # without what rounding adds around a pane
    assert nearby(np.asarray(photograph(left)), seen) == 0

    # In every single frame both show the same place.
    frames = page.evaluate(FRAMES)
    assert len({one for one, _ in frames}) > 6
    assert {other - one for one, other in frames} == {right - left}

    # By wheel, by dragging, by keys.
    box = page.locator(".pane").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.wheel(0, -500)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 90)
    page.mouse.up()
    page.keyboard.press("Shift+ArrowDown")
    drawn(page)
    assert in_step(page) == pytest.approx(right - left, abs=1)

    # Swapped while held; one at a time; the difference of what is seen.
    before = mean(page)
    page.keyboard.down("f")
    page.wait_for_timeout(200)
    assert mean(page) - before == pytest.approx(right - left, abs=2)
    page.keyboard.up("f")
    page.wait_for_timeout(200)
    assert mean(page) == pytest.approx(before, abs=0.5)
    page.keyboard.press("0")
    page.keyboard.press("d")
    drawn(page)
    assert mean(page) == pytest.approx(min(255, 8 * abs(right - left)), abs=8)
    page.keyboard.press("d")

    # The source, in place of both and beside them.
    page.keyboard.down("i")
    until(page, "document.querySelectorAll('.pair[data-instead] .given canvas').length === 2")
    drawn(page)
    assert in_step(page) == pytest.approx(0, abs=1)
    page.keyboard.press("ArrowLeft")  # no answer while neither side is seen
    page.keyboard.up("i")
    page.keyboard.press("Shift+I")
    expect(page.locator(".context canvas")).to_have_count(1)
    drawn(page)
    assert in_step(page) == pytest.approx(right - left, abs=1)
    assert Vote.objects.count() == 0

    # The next pair: the viewers of this one are gone.
    press(page, "ArrowLeft")
    drawn(page)
    assert page.locator(".pane .openseadragon-canvas canvas").count() == 2
    revealed(page)
    assert in_step(page) == pytest.approx(shifts(page)[1] - shifts(page)[0], abs=1)
