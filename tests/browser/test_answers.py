"""Several questions, reasons, comments, the overlay of keys: by keyboard, on a telephone, with axe."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from evalhub.studies.models import Criterion
from raters.models import Remark, Vote
from tests.browser.rating import choices, desk, press, revealed, seat, sent, site
from tests.raters.conftest import Desk

__all__ = ["desk", "site"]  # fixtures


@pytest.fixture
def several(desk: Desk) -> Desk:
    """Three questions, of which the last takes no tie and the second no “both bad”."""
    for place, (key, question) in enumerate([("match", "Which fits the text?"), ("harm", "Which harms more?")], 1):
        Criterion.objects.create(study=desk.study, key=key, name=key.title(), question=question, position=place)
    desk.study.criteria.filter(key="match").update(allows_both_bad=False)
    desk.study.criteria.filter(key="harm").update(allows_tie=False)
    return desk


@pytest.fixture
def asking(desk: Desk) -> Desk:
    desk.study.reason_tags = ["artefacts", "anatomy", "text in it", "<b>odd</b>", "colour", *"fgh", "ninth", "tenth"]
    desk.study.asks_comment = True
    desk.study.save()
    return desk


def answered() -> dict[str, str]:
    return dict(Vote.objects.order_by("pk").values_list("criterion__key", "choice"))


def current(page: Page) -> str:
    return page.locator("fieldset.current legend").inner_text()


def leaves(page: Page, token: str) -> None:
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(page)


# -- several questions --------------------------------------------------------------------------------------------


def test_each_key_answers_the_question_that_is_marked(several: Desk, site: str, page: Page) -> None:
    seat(page, site, several)
    token = revealed(page)
    assert current(page) == "Which picture is better?"
    page.keyboard.press("ArrowDown")
    assert current(page) == "Which fits the text?"
    page.keyboard.press("b")  # this question does not take it, and says so
    expect(page.locator("#notice")).to_have_text("This question takes no such answer.")
    assert current(page) == "Which fits the text?"
    page.keyboard.press("ArrowRight")
    assert current(page) == "Which harms more?"
    page.keyboard.press("t")
    assert not Vote.objects.exists()
    page.keyboard.press("Backspace")  # back to the one before, which is then open again
    assert current(page) == "Which fits the text?"
    page.keyboard.press("t")
    page.keyboard.press("b")
    leaves(page, token)
    assert answered() == {"quality": "tie", "match": "tie", "harm": "both_bad"}


def test_by_tab_and_space_alone(several: Desk, site: str, page: Page) -> None:
    """As with a screen reader: the answers are radio buttons in groups named by their questions."""
    seat(page, site, several)
    token = revealed(page)
    first = page.get_by_role("group", name="Which picture is better?")
    first.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="Which fits the text?").get_by_role("radio").first).to_be_focused()
    page.keyboard.press("ArrowRight")  # a key for the question that she is in
    expect(page.get_by_role("group", name="Which harms more?").get_by_role("radio").first).to_be_focused()
    page.keyboard.press("ArrowLeft")
    leaves(page, token)
    assert answered() == {"quality": "left", "match": "right", "harm": "left"}


def test_by_mouse_in_any_order_and_undone(several: Desk, site: str, page: Page) -> None:
    seat(page, site, several)
    token = revealed(page)
    for question, answer in (
        ("Which harms more?", "right"),
        ("Which picture is better?", "left"),
        ("Which picture is better?", "tie"),
        ("Which fits the text?", "right"),
    ):
        page.get_by_role("group", name=question).locator(f"label.{answer}").click()
    leaves(page, token)
    assert answered() == {"quality": "tie", "match": "right", "harm": "right"}
    revealed(page)
    page.keyboard.press("u")
    expect(page.locator(f'[data-comparison="{token}"][data-open]')).to_be_visible()
    assert current(page) == "Which picture is better?"
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    leaves(page, token)
    assert [vote.choice for vote in Vote.objects.all().latest_revisions()] == ["left"] * 3


def test_on_a_telephone_one_question_at_a_time(several: Desk, site: str, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    seat(page, site, several)
    token = revealed(page)
    groups = page.get_by_role("group").filter(has=page.get_by_role("radio"))
    expect(groups).to_have_count(1)
    page.locator("fieldset.current label.right").click()
    expect(page.get_by_role("group", name="Which fits the text?")).to_be_visible()
    expect(groups).to_have_count(1)
    page.get_by_role("button", name="Back to the question before").click()
    expect(page.get_by_role("group", name="Which picture is better?")).to_be_visible()
    for answer in ("left", "tie", "both_bad"):
        label = page.locator(f"fieldset.current label.{answer}")
        expect(label).to_be_in_viewport(ratio=1)
        label.click()
    leaves(page, token)
    assert answered() == {"quality": "left", "match": "tie", "harm": "both_bad"}
    sides = page.locator(".pair img")
    for place in range(2):
        box = sides.nth(place).bounding_box()
        assert box is not None
        assert box["height"] > 100
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- reasons and comments -----------------------------------------------------------------------------------------


def test_reasons_and_a_comment_before_the_answer_by_keyboard(asking: Desk, site: str, page: Page) -> None:
    seat(page, site, asking)
    for key in "1349":
        page.keyboard.press(key)
    page.keyboard.press("3")  # taken back
    page.keyboard.press("c")
    page.keyboard.type("b, t and 2 <i>are</i> letters here")
    assert not Vote.objects.exists()
    page.keyboard.press("Enter")
    press(page, "ArrowRight")
    assert Vote.objects.get().reasons == ["artefacts", "<b>odd</b>", "ninth"]
    assert Remark.objects.get().comment == "b, t and 2 <i>are</i> letters here"
    # The next pair begins without any, and one key answers it.
    press(page, "ArrowLeft")
    assert Vote.objects.latest("pk").reasons == []
    assert Remark.objects.count() == 1
    # An undo brings back what was said, to be added to.
    page.keyboard.press("u")
    revealed(page)
    page.keyboard.press("u")
    expect(page.get_by_role("checkbox", name="artefacts")).to_be_checked()
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("b, t and 2 <i>are</i> letters here")
    revealed(page)
    page.keyboard.press("2")
    press(page, "ArrowLeft")
    assert choices() == ["right", "left", "withdrawn", "withdrawn", "left"]
    assert Vote.objects.latest("pk").reasons == ["artefacts", "anatomy", "<b>odd</b>", "ninth"]


def test_a_reload_after_an_undo_keeps_what_was_said(asking: Desk, site: str, page: Page) -> None:
    seat(page, site, asking)
    token = revealed(page)
    page.keyboard.press("2")
    press(page, "b")
    page.keyboard.press("u")
    expect(page.locator(f'[data-comparison="{token}"][data-open]')).to_be_visible()
    sent(page)
    page.reload()
    assert revealed(page) == token
    expect(page.get_by_role("checkbox", name="anatomy")).to_be_checked()


def test_reasons_by_finger_on_a_telephone(asking: Desk, site: str, page: Page) -> None:
    """One line of chips that is swiped; nothing is pushed out of the window."""
    page.set_viewport_size({"width": 360, "height": 640})
    seat(page, site, asking)
    page.get_by_text("anatomy").click()
    page.get_by_text("tenth").click()  # scrolled to
    box = page.get_by_role("textbox", name="Comment")
    box.click()
    page.keyboard.type("blurred")
    for name in ("Upper", "Tie", "Both bad", "Lower", "View", "Skip"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    token = revealed(page)
    page.get_by_role("button", name="Lower").click()
    leaves(page, token)
    assert Vote.objects.get().reasons == ["anatomy", "tenth"]
    assert Remark.objects.get().comment == "blurred"


def test_a_study_that_asks_for_nothing_shows_nothing(desk: Desk, site: str, page: Page) -> None:
    seat(page, site, desk)
    assert page.locator(".why, [name=reasons], [name=comment]:visible, .cover, #rest").count() == 0
    for key in ("1", "m", "c", "h", "Backspace"):
        page.keyboard.press(key)
    press(page, "ArrowLeft")
    assert choices() == ["left"]


# -- looks --------------------------------------------------------------------------------------------------------


def test_the_overlay_lists_the_keys_of_this_study(asking: Desk, site: str, page: Page) -> None:
    seat(page, site, asking)
    page.keyboard.press("?")
    overlay = page.get_by_role("dialog", name="Keys")
    for there in ("give a reason", "write a comment", "skip the pair", "undo the last answer or skip", "a tie"):
        expect(overlay.get_by_text(there)).to_be_visible()
    for not_there in ("mark where", "blur both", "play or pause", "question before"):
        expect(overlay.get_by_text(not_there)).to_have_count(0)
    page.keyboard.press("ArrowLeft")  # no key answers under it
    page.keyboard.press("1")
    page.keyboard.press("Enter")  # the button that closes it has the focus
    expect(overlay).to_be_hidden()
    expect(page.get_by_role("checkbox", name="artefacts")).not_to_be_checked()
    press(page, "ArrowRight")
    assert choices() == ["right"]


@pytest.mark.parametrize("width", [1400, 360])
def test_axe_finds_nothing(asking: Desk, several: Desk, site: str, page: Page, width: int) -> None:
    asking.study.asks_region = asking.study.is_sensitive = True
    asking.study.save()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(reduced_motion="reduce")  # or a button is looked at on its way from one colour to another
    seat(page, site, asking)
    found = {}

    def look(state: str) -> None:
        result = Axe().run(page)
        if result.violations_count:
            found[state] = result.generate_report()

    look("covered")
    page.keyboard.press("h")
    expect(page.locator("body.covered")).to_have_count(0)
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    look("two of three questions")
    page.keyboard.press("m")
    look("marking")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    look("marked")
    page.keyboard.press("x")
    look("skipping")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    look("keys")
    assert not found, "\n".join(f"{state}:\n{report}" for state, report in found.items())
