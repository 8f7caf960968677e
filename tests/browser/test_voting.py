"""A rater at a real Chromium: what she presses is what the database holds."""

from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page, Route, expect

from evalhub.studies.models import Criterion, Membership, Role, User
from raters import services
from raters.models import Comparison, Vote
from tests.browser.rating import BUTTONS, choices, desk, pictures, press, revealed, seat, seated, sent, sign_in, site
from tests.raters.conftest import Desk

__all__ = ["desk", "seated", "site"]  # fixtures


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
    sent(seated)
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
    sent(seated)
    assert choices() == ["right"]
    seated.mouse.down()
    seated.mouse.up()
    expect(seated.locator(f'[data-comparison="{second}"]')).to_have_count(0)
    sent(seated)
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
    """No pair is before her twice; what she answers in either counts once."""
    other = seated.context.new_page()
    other.goto(f"{site}/rate/study/")
    seen = [revealed(seated), revealed(other)]
    for tab in (seated, other, seated, other):
        seen.append(press(tab, "ArrowLeft"))
    assert len(set(seen)) == len(seen)
    other.keyboard.press("u")
    expect(other.locator(f'[data-comparison="{seen[3]}"][data-open]')).to_be_visible()
    seen.append(press(seated, "t"))
    press(other, "ArrowRight")
    assert choices() == ["left"] * 4 + ["withdrawn", "tie", "right"]
    assert Comparison.objects.answered().count() == 5
    assert len(set(seen)) == len(seen)
    other.close()  # what it held is offered again: none of the eighteen is lost
    for _ in range(12):
        press(seated, "ArrowLeft")
    seated.keyboard.press("ArrowLeft")
    expect(seated.get_by_role("heading", name="Thank you")).to_be_visible()
    assert Comparison.objects.answered().count() == Comparison.objects.count() == 18
