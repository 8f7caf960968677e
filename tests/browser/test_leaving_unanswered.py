"""Skipping a pair, reporting what is broken, and taking that back; what the owner sees of it."""

from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, User
from raters.models import Comparison, Skip, Vote
from tests.browser.rating import choices, desk, press, revealed, seat, seated, sent, site, until
from tests.browser.test_pages import look, sign_in
from tests.raters.conftest import Desk

__all__ = ["desk", "seated", "site"]  # fixtures


def skip(page: Page, *keys: str) -> str:
    """Press the keys and wait for the next pair; returns the token of the skipped one."""
    token = revealed(page)
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(page)
    revealed(page)
    return token


def skips() -> list[tuple[str, str, str]]:
    return list(Skip.objects.order_by("pk").values_list("reason", "side", "comment"))


def test_two_keys_skip_and_one_takes_it_back(seated: Page) -> None:
    token = skip(seated, "x", "4")
    assert skips() == [("cannot_tell", "", "")]
    seated.keyboard.press("u")
    expect(seated.locator(f'[data-comparison="{token}"][data-open]')).to_be_visible()
    sent(seated)
    assert skips() == []
    press(seated, "ArrowLeft")
    assert choices() == ["left"]
    assert Vote.objects.get().comparison.token == token
    skip(seated, "x", "1")
    skip(seated, "x", "2")
    skip(seated, "x", "3")
    press(seated, "ArrowRight")
    assert skips() == [("broken", "left", ""), ("broken", "right", ""), ("broken", "", "")]
    assert choices() == ["left", "right"]
    expect(seated.get_by_text("2 done")).to_be_visible()  # what was skipped is not done


def test_another_reason_takes_words(seated: Page) -> None:
    seated.keyboard.press("x")
    expect(seated.get_by_role("heading", name="Skip this pair")).to_be_visible()
    seated.keyboard.press("ArrowLeft")  # no key answers while the reasons are before her
    seated.keyboard.press("6")
    words = seated.get_by_role("textbox", name="A few words")
    expect(words).to_be_focused()
    seated.keyboard.press("Enter")
    assert skips() == []
    skip(seated, *"Both are 1 thing", "Enter")
    assert skips() == [("other", "", "Both are 1 thing")]
    seated.keyboard.press("x")
    seated.keyboard.press("Escape")
    expect(words).to_be_hidden()
    press(seated, "ArrowLeft")
    assert choices() == ["left"]


def test_by_finger_on_a_telephone(desk: Desk, site: str, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    seat(page, site, desk)
    token = revealed(page)
    page.get_by_role("button", name="Skip").click()
    for name in ("The upper one is broken", "The lower one is broken", "I do not want to look at this"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="The lower one is broken").click()
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    sent(page)
    assert skips() == [("broken", "right", "")]


def test_what_does_not_load_can_be_reported(desk: Desk, site: str, page: Page) -> None:
    """Nothing is revealed and nothing can be answered, but it can be said that it is broken."""
    page.route("**/shown/*", lambda route: route.abort())
    desk.rater("ria")
    client = Client()
    client.force_login(User.objects.get(username="ria"))
    (cookie,) = client.cookies.values()
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])
    page.goto(f"{site}/rate/study/")
    expect(page.locator("#notice")).not_to_be_empty()
    token = page.locator("#desk").get_attribute("data-comparison")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("x")
    page.keyboard.press("3")
    until(page, "!Object.keys(localStorage).some((name) => name.startsWith('evalhub.unsent.'))")
    page.unroute("**/shown/*")
    page.evaluate("dispatchEvent(new Event('online'))")  # or it waits longer from try to try
    assert revealed(page) != token
    assert skips() == [("broken", "", "")]
    assert Comparison.objects.get(token=token).skipped_at is not None
    assert choices() == []


def test_a_report_arrives_at_the_owners_page(desk: Desk, site: str, page: Page, live_server: LiveServer) -> None:
    desk.study.asks_region = desk.study.asks_comment = True
    desk.study.save()
    seat(page, site, desk)
    page.keyboard.press("x")
    page.get_by_role("textbox", name="A few words").fill("half of it is grey")
    token = revealed(page)
    page.get_by_role("button", name="The left one is broken").click()
    expect(page.locator(f'[data-comparison="{token}"]')).to_have_count(0)
    revealed(page)
    for key in ("m", "Enter", "ArrowRight", "ArrowDown", "Enter", "c"):
        page.keyboard.press(key)
    page.keyboard.type("seven fingers")
    page.keyboard.press("Enter")
    press(page, "ArrowRight")
    broken = Skip.objects.get().comparison.left
    owner = User.objects.create_user("owner")
    Membership.objects.create(study=desk.study, user=owner, role=Role.OWNER)
    page.context.clear_cookies()
    sign_in(page.context, live_server, owner)
    wrong: list[str] = []
    for width in (1400, 360):
        page.set_viewport_size({"width": width, "height": 900})
        look(page, f"{site}/studies/study/reports/", wrong)
    assert not wrong, "\n".join(wrong)
    row = page.get_by_role("row").filter(has_text=str(broken.checkpoint)).filter(has_text=broken.prompt.key)
    seen = Comparison.objects.exclude(shown_at=None, answered_at=None, skipped_at=None)
    times = seen.filter(left=broken).count() + seen.filter(right=broken).count()
    assert row.get_by_role("cell").all_inner_texts() == ["1", "1", "0", "0", "0", "0", str(times)]
    expect(page.get_by_text("half of it is grey")).to_be_visible()
    expect(page.get_by_text("seven fingers")).to_be_visible()
    expect(page.get_by_role("img", name="The marked place")).to_be_visible()
