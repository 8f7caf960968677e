"""The gallery and the comparison of two, looked through by keyboard: pictures come as they are needed, and enlarge."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, User
from evalhub.studies.views.gallery import PROMPTS_ON_A_PAGE
from tests.browser.rating import until
from tests.browser.test_pages import sign_in, violations
from tests.raters.conftest import Desk, make_desk

NEWEST_FIRST = ("Gamma", "Beta", "Alpha")
GALLERY = "/studies/study/gallery/"


@pytest.fixture
def desk(live_server: LiveServer) -> Desk:
    desk = make_desk(prompts=PROMPTS_ON_A_PAGE)
    for name in reversed(NEWEST_FIRST):
        desk.contestant(name)
    return desk


@pytest.fixture
def seen(page: Page, live_server: LiveServer, desk: Desk) -> Iterator[Page]:
    viewer = User.objects.create_user("viewer")
    Membership.objects.create(study=desk.study, user=viewer, role=Role.VIEWER)
    sign_in(page.context, live_server, viewer)
    page.set_viewport_size({"width": 1400, "height": 700})
    yield page
    page.goto("about:blank")  # before the study goes, which pictures may still be asked of


def test_thumbnails_come_as_they_come_into_sight(seen: Page, live_server: LiveServer) -> None:
    asked: list[str] = []
    seen.on("request", lambda request: asked.append(request.url) if "size=small" in request.url else None)
    seen.goto(live_server.url + GALLERY)
    seen.wait_for_load_state("networkidle")
    at_first, all_of_them = len(asked), len(NEWEST_FIRST) * PROMPTS_ON_A_PAGE
    assert 0 < at_first < all_of_them
    seen.locator("tbody tr").last.scroll_into_view_if_needed()
    until(seen, "[...document.querySelectorAll('tbody tr:last-child img')].every((one) => one.naturalWidth)")
    assert at_first < len(asked) <= all_of_them


def test_outputs_are_equally_large_and_the_head_stays(seen: Page, live_server: LiveServer) -> None:
    seen.goto(live_server.url + GALLERY)
    widths = [box["width"] for one in seen.locator("tbody tr:first-child td img").all() if (box := one.bounding_box())]
    assert len(widths) == len(NEWEST_FIRST)
    assert max(widths) - min(widths) < 1
    seen.locator("tbody tr").last.scroll_into_view_if_needed()
    expect(seen.get_by_role("columnheader", name="Gamma", exact=True)).to_be_in_viewport()


def test_a_picture_is_enlarged_and_arrows_go_to_its_neighbours(seen: Page, live_server: LiveServer, desk: Desk) -> None:
    seen.goto(live_server.url + GALLERY)
    link = seen.get_by_role("link", name="Output of Gamma for prompt-1", exact=True)
    link.focus()
    seen.keyboard.press("Enter")
    dialog = seen.get_by_role("dialog", name="Enlarged")
    expect(dialog).to_contain_text(f"Output of Gamma for prompt-1, 48 × 32 pixels, 4 of {3 * PROMPTS_ON_A_PAGE}")
    until(seen, "document.querySelector('.enlarged img').naturalWidth === 48")  # the original, not the thumbnail
    assert violations(seen) == []
    for key, shown in (
        ("ArrowRight", "Output of Beta for prompt-1"),
        ("ArrowDown", "Output of Beta for prompt-2"),
        ("ArrowLeft", "Output of Gamma for prompt-2"),
        ("ArrowUp", "Output of Gamma for prompt-1"),
        ("ArrowUp", "Output of Gamma for prompt-0"),
        ("ArrowUp", "Output of Gamma for prompt-0"),  # there is nothing above
    ):
        seen.keyboard.press(key)
        expect(dialog.get_by_role("img")).to_have_attribute("alt", shown)
    dialog.get_by_role("button", name="Actual size").press("Enter")
    expect(dialog.get_by_role("button", name="Actual size")).to_have_attribute("aria-pressed", "true")
    seen.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(seen.get_by_role("link", name="Output of Gamma for prompt-0", exact=True)).to_be_focused()


def test_a_contestant_is_compared_with_the_first(seen: Page, live_server: LiveServer, desk: Desk) -> None:
    seen.goto(live_server.url + GALLERY)
    seen.get_by_role("link", name="Compare Gamma with Alpha").click()
    expect(seen.get_by_role("heading", name="Gamma against Alpha")).to_be_visible()
    expect(seen.get_by_label("Baseline")).to_have_value(str(desk.checkpoints[0].pk))


def test_without_javascript_a_picture_is_a_link_to_its_file(
    browser: Browser, live_server: LiveServer, desk: Desk
) -> None:
    viewer = User.objects.create_user("viewer")
    Membership.objects.create(study=desk.study, user=viewer, role=Role.VIEWER)
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, live_server, viewer)
    page = context.new_page()
    page.goto(live_server.url + GALLERY)
    address = page.get_by_role("link", name="Output of Gamma for prompt-1", exact=True).get_attribute("href")
    answer = page.request.get(f"{live_server.url}{address}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    context.close()


def test_a_table_is_sorted_by_its_heads(seen: Page, live_server: LiveServer, desk: Desk) -> None:
    for number, checkpoint in enumerate(desk.checkpoints):
        checkpoint.step = (900, None, 1_200)[number]
        checkpoint.save()
    seen.goto(f"{live_server.url}/studies/study/submissions/")
    head = seen.get_by_role("columnheader", name="Step")
    for order, names in (("descending", ["Gamma", "Alpha", "Beta"]), ("ascending", ["Alpha", "Gamma", "Beta"])):
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", order)
        assert seen.get_by_role("rowheader").all_inner_texts() == names  # who has no step comes last
    seen.get_by_role("columnheader", name="Checkpoint").get_by_role("button").click()
    assert seen.get_by_role("rowheader").all_inner_texts() == ["Alpha", "Beta", "Gamma"]
    expect(head).not_to_have_attribute("aria-sort", "ascending")
    assert violations(seen) == []
