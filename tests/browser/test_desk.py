"""How the rater's desk looks: pictures equal, large and sharp; nothing to scroll to; nothing for axe to find."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from evalhub.studies.models import Membership, Role, StudyState, User
from raters import services
from tests.browser.rating import BUTTONS, desk, revealed, seat, sign_in, site
from tests.raters.conftest import Desk, noise

__all__ = ["desk", "site"]  # fixtures


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
