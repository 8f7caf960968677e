"""A new rater, by keyboard only: consent, practice, qualification, her share, her page, and out."""

import os
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from evalhub.studies.models import Membership, Role, User
from raters.models import Comparison, Enrolment, EnrolmentState, Rater, Vote
from raters.services import controls
from tests.browser.rating import desk, press, revealed, sent, sign_in, site
from tests.browser.test_pages import violations
from tests.raters.conftest import Desk, owner_of
from tests.raters.gold_scenes import gold, rule, wrong

__all__ = ["desk", "site"]  # fixtures

PICTURES = os.environ.get("PICTURES", "")
SHOTS = [(width, scheme) for width in (1400, 360) for scheme in ("light", "dark")]


@pytest.fixture
def school(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Practice, qualification, controls, pay, a least window, and a share of eight."""
    monkeypatch.setattr(controls, "_random", random.Random(3))
    desk.study.instructions = "# What matters\n\nLook at the **edges**."
    desk.study.votes_per_rater = 8
    desk.study.save()
    gold(desk, "training", 0, explanation="The edges of the *first* are **blurred**.")
    gold(desk, "training", 1, better=1, explanation="Its colours are off.")
    for prompt in (2, 3):
        gold(desk, "qualification", prompt)
    for prompt in (4, 5):
        gold(desk, "control", prompt)
    rule(
        desk,
        qualification_share=0.9,
        gold_every=3,
        least_width=1000,
        least_height=600,
        pay_per_comparison="0.05",
        accept_gold_share=0.5,
        use_gold_share=0.6,
        shows_consistency=True,
    )
    return desk


def reach(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus."""
    for _ in range(40):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"No Tab leads to {wanted}.")


def look(page: Page, name: str) -> None:
    """Nothing for axe to find and nothing to scroll sideways, at every size and in both schemes."""
    before = page.viewport_size
    for width, scheme in SHOTS if PICTURES else [(1400, "light"), (360, "dark")]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.wait_for_timeout(300)  # colours change over from one scheme to the other
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}"
        assert not (found := violations(page)), f"{name} at {width}: {found}"
        if PICTURES:
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{width}-{scheme}.png"), full_page=True)
    assert before is not None
    page.set_viewport_size(before)
    page.emulate_media(color_scheme="light")


def now_before_her(page: Page) -> Comparison:
    return Comparison.objects.get(token=revealed(page))


KEYS = {"left": "ArrowLeft", "right": "ArrowRight"}


def test_from_consent_to_erasure_by_keyboard(school: Desk, site: str, page: Page) -> None:
    Membership.objects.create(study=school.study, user=User.objects.create_user("ria"), role=Role.RATER)
    sign_in(page.context, site, "ria")
    page.set_viewport_size({"width": 900, "height": 700})
    page.goto(f"{site}/rate/study/")
    look(page, "consent")
    reach(page, page.get_by_role("checkbox"))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("How large is your window?")
    expect(page.get_by_text("Yours has 900 × 700.")).to_be_visible()
    expect(page.get_by_text("That is too small.")).to_be_visible()
    reach(page, page.get_by_role("button", name="Check and continue"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("at least 1000 × 600 pixels; yours has 900 × 700")
    look(page, "screen")
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.get_by_text("Yours has 1280 × 800.")).to_be_visible()
    expect(page.get_by_text("That is large enough.")).to_be_visible()
    reach(page, page.get_by_role("button", name="Check and continue"))
    page.keyboard.press("Enter")

    expect(heading).to_have_text("How it works")
    expect(page.get_by_text("You are paid 0.05 USD for every pair")).to_be_visible()
    look(page, "instructions")
    reach(page, page.get_by_role("button", name="Begin"))
    page.keyboard.press("Enter")

    expect(page.get_by_text("Practice: 1 of 2")).to_be_visible()
    page.keyboard.press(KEYS[wrong(now_before_her(page))])
    expect(heading).to_have_text("The other answer was expected")
    expect(page.get_by_text("The edges of the first are blurred.")).to_be_visible()
    look(page, "training")
    page.reload()  # it stays until she has read it
    expect(heading).to_have_text("The other answer was expected")
    expect(page.get_by_role("button", name="Next")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Practice: 2 of 2")).to_be_visible()
    page.keyboard.press("u")  # there is nothing to take back
    page.keyboard.press(KEYS[now_before_her(page).expected])
    expect(heading).to_have_text("Yes, that is the better one")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Qualification: 1 of 2")).to_be_visible()
    press(page, KEYS[now_before_her(page).expected])
    expect(page.get_by_text("Qualification: 2 of 2")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    page.keyboard.press(KEYS[wrong(now_before_her(page))])
    expect(heading).to_have_text("Not yet")
    look(page, "not-yet")
    reach(page, page.get_by_role("button", name="Try once more"))
    page.keyboard.press("Enter")
    press(page, KEYS[now_before_her(page).expected])
    page.keyboard.press(KEYS[now_before_her(page).expected])
    expect(heading).to_have_text("You are in")
    look(page, "qualified")
    reach(page, page.get_by_role("button", name="Start comparing"))
    page.keyboard.press("Enter")

    for number in range(8):
        expect(page.get_by_text(f"{number} of 8 done")).to_be_visible()
        here = now_before_her(page)
        page.keyboard.press(KEYS[here.expected or "left"])
        expect(page.locator(f'[data-comparison="{here.token}"]')).to_have_count(0)
    expect(heading).to_have_text("Thank you")
    sent(page)
    drawn = Comparison.objects.answered().in_earnest()
    assert 1 <= drawn.filter(control="gold").count() <= 2
    assert drawn.count() == 8
    look(page, "done")

    reach(page, page.get_by_role("link", name="What I did, and leaving"))
    page.keyboard.press("Enter")
    expect(heading).to_have_text("What I did")
    expect(page.get_by_text("8 of 8 pairs")).to_be_visible()
    expect(page.get_by_text("0.70 USD")).to_be_visible()  # two of practice, four of qualification, eight
    look(page, "mine")
    shown = page.content()
    for checkpoint in school.checkpoints:
        assert checkpoint.name not in shown
    reach(page, page.locator("summary", has_text="Take back my consent"))
    page.keyboard.press("Enter")
    look(page, "mine-open")
    reach(page, page.get_by_role("button", name="Take back my consent"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("when you took back your consent")).to_be_visible()
    enrolment = Enrolment.objects.get(rater__user__username="ria")
    assert enrolment.state == EnrolmentState.WITHDRAWN

    reach(page, page.locator("summary", has_text="Erase me from this site"))
    page.keyboard.press("Enter")
    look(page, "erase")
    reach(page, page.get_by_role("checkbox", name="I know that this cannot be undone."))
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(heading).to_have_text("You are erased")
    look(page, "erased")
    assert Rater.objects.get(pk=enrolment.rater_id).user is None
    assert not User.objects.filter(username="ria").exists()
    assert Vote.objects.filter(rater=enrolment.rater_id).count() == 14
    page.goto(f"{site}/rate/study/")
    expect(page).to_have_url(re.compile(r"/login/"))


def test_screened_out_kindly(school: Desk, site: str, page: Page) -> None:
    school.rater("ria")
    Enrolment.objects.update(state=EnrolmentState.SCREENED_OUT)
    sign_in(page.context, site, "ria")
    page.goto(f"{site}/rate/study/")
    expect(page.get_by_role("heading", name="Thank you for trying")).to_be_visible()
    look(page, "screened-out")


def test_the_owners_pages(school: Desk, site: str, page: Page) -> None:
    """A known answer is chosen beside its pictures, added, seen in the list and retired; the rules are set."""
    owner_of(school)
    school.rater("ria")
    sign_in(page.context, site, "olga")
    page.goto(f"{site}/studies/study/golds/?prompt=prompt-3")
    look(page, "golds")
    page.get_by_role("radio", name="Gamma is the better one").check()
    page.get_by_role("radio", name="Beta is the worse one").check()
    page.get_by_label("Explanation").fill("<script>alert(1)</script> **Sharper**.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("Added: Gamma over Beta on prompt-3, for control")
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    page.get_by_role("button", name="Retire Gamma over Beta on prompt-3").click()
    expect(page.locator("#notices")).to_contain_text("Retired: Gamma over Beta on prompt-3")
    page.get_by_role("link", name="Rules and pay").click()
    look(page, "rules")
    page.get_by_label("One known answer in so many comparisons").fill("3")
    page.get_by_label("One repeat in so many comparisons").fill("3")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.get_by_role("alert")).to_contain_text("Controls may be half of the comparisons at most")
    page.get_by_label("One repeat in so many comparisons").fill("12")
    page.get_by_role("button", name="Save the rules").click()
    expect(page.locator("#notices")).to_contain_text("The rules are saved")
    page.get_by_role("link", name="Who they are").click()
    look(page, "who")
