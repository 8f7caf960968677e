"""The pages in a real browser: accessible, readable on a telephone, usable by keyboard and without JavaScript."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies import services
from evalhub.studies.models import ApiToken, Invite, Role, Study, User
from tests.submitting import Scene, make_scene

PASSWORD = "correct-horse"
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def scene(live_server: LiveServer) -> Scene:
    """A study with a whole submission, and a link to it."""
    cache.clear()
    scene = make_scene()
    scene.submit(scene.outputs(), name="plain")
    services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada, max_uses=3)
    return scene


def sign_in(context: BrowserContext, site: LiveServer, user: User) -> None:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site.url}])


def violations(page: Page) -> list[str]:
    """Whatever axe finds in the page as it is now."""
    found = Axe().run(page, options=WCAG).response["violations"]
    return [f"{page.url} {one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def look(page: Page, address: str, wrong: list[str]) -> None:
    """Open one page and note what is wrong with it, and whether it is wider than its window."""
    page.goto(address)
    wrong += violations(page)
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if too_wide > 0:
        wrong.append(f"{address} is {too_wide} pixels wider than its window")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_ways_in_are_accessible_and_fit_their_window(
    page: Page, live_server: LiveServer, scene: Scene, width: int, scheme: str
) -> None:
    """What members of a study open inside is walked in test_every_page."""
    page.on("dialog", lambda dialog: pytest.fail(f"A text of a study ran as a script: {dialog.message}"))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    _, for_raters = services.create_invite(study=scene.study, role=Role.RATER, actor=scene.ada)
    _, for_teams = services.create_invite(study=scene.study, role=Role.RESEARCHER, actor=scene.ada)
    joins = [reverse("join", args=[token]) for token in (for_raters, for_teams, "no-such-link")]
    wrong: list[str] = []
    for path in [reverse("login"), reverse("password_reset"), reverse("password_reset_done"), *joins]:
        look(page, live_server.url + path, wrong)
    sign_in(page.context, live_server, scene.ada)
    for path in (reverse("password_change"), joins[0], "/nothing/here/"):
        look(page, live_server.url + path, wrong)
    sign_in(page.context, live_server, scene.ria)
    for path in (reverse("studies"), reverse("prompts", args=[scene.study.slug])):
        look(page, live_server.url + path, wrong)
    assert not wrong, "\n".join(wrong)


def test_the_first_visit_is_accessible(page: Page, live_server: LiveServer) -> None:
    wrong: list[str] = []
    look(page, live_server.url, wrong)
    expect(page.get_by_role("heading", name="Set up EvalHub")).to_be_visible()
    assert not wrong, "\n".join(wrong)


def test_the_page_about_the_api_is_drawn(page: Page, live_server: LiveServer) -> None:
    """Its script is the package's own, and the content security policy lets none run that is inside a page."""
    stopped: list[str] = []
    page.on("console", lambda message: stopped.append(message.text) if "Security Policy" in message.text else None)
    page.goto(live_server.url + reverse("docs"))
    expect(page.get_by_role("heading", name="EvalHub")).to_be_visible()
    expect(page.get_by_text("/api/v1/studies/", exact=True).first).to_be_visible()
    assert not stopped


def test_a_long_name_leaves_the_site_s_mark_its_size(page: Page, live_server: LiveServer) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page.context, live_server, User.objects.create_user("rater-3e621f8fa2-of-a-very-long-name"))
    page.goto(live_server.url + reverse("studies"))
    mark = page.locator(".brand svg").bounding_box()
    assert mark is not None
    assert mark["width"] == mark["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_keyboard_reaches_everything(page: Page, live_server: LiveServer, scene: Scene) -> None:
    sign_in(page.context, live_server, scene.ada)
    page.goto(live_server.url + reverse("members", args=[scene.study.slug]))
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert inside
    account = page.get_by_role("button", name=scene.ada.username, exact=True)
    account.focus()
    page.keyboard.press("Enter")
    menu = page.locator("#account-menu")
    expect(menu).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(account).to_be_focused()


def test_the_chosen_look_stays(page: Page, live_server: LiveServer, scene: Scene) -> None:
    page.emulate_media(color_scheme="light")
    sign_in(page.context, live_server, scene.ada)
    page.goto(live_server.url + reverse("tokens"))

    def lightness() -> int:
        colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return int(re.findall(r"\d+", colour)[0])

    assert lightness() > 200
    page.get_by_role("button", name=scene.ada.username).click()
    page.get_by_role("button", name="Dark").click()
    expect(page).to_have_url(live_server.url + reverse("tokens"))
    assert lightness() < 60
    page.goto(live_server.url + reverse("studies"))
    assert lightness() < 60


def test_closing_asks_first(page: Page, live_server: LiveServer, scene: Scene) -> None:
    services.publish_study(study=scene.study, actor=scene.ada)
    sign_in(page.context, live_server, scene.ada)
    page.goto(live_server.url + reverse("study_settings", args=[scene.study.slug]))
    dialog = page.get_by_role("dialog", name="Close this study?")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Close…").click()
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    assert Study.objects.get(pk=scene.study.pk).state == "open"
    page.get_by_role("button", name="Close…").click()
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("The study is closed. Its results stay.")).to_be_visible()
    assert Study.objects.get(pk=scene.study.pk).state == "closed"


def test_a_button_pressed_twice_acts_once(page: Page, live_server: LiveServer, scene: Scene) -> None:
    sign_in(page.context, live_server, scene.ada)
    page.goto(live_server.url + reverse("members", args=[scene.study.slug]))
    before = Invite.objects.count()
    page.get_by_role("button", name="Make a link").dblclick()
    expect(page.locator("#link")).to_contain_text("/join/")
    assert Invite.objects.count() == before + 1


def test_a_new_link_is_copied_and_opens(context: BrowserContext, live_server: LiveServer, scene: Scene) -> None:
    services.publish_study(study=scene.study, actor=scene.ada)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(context, live_server, scene.ada)
    page = context.new_page()
    page.goto(live_server.url + reverse("members", args=[scene.study.slug]))
    page.get_by_role("button", name="Make a link").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    context.clear_cookies()
    page.goto(link)
    page.get_by_role("button", name="Continue as a new rater").click()
    expect(page).to_have_url(live_server.url + reverse("rate", args=[scene.study.slug]))
    assert User.objects.filter(username__startswith="rater-").count() == 1


def test_all_of_it_works_without_javascript(browser: Browser, live_server: LiveServer, scene: Scene) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(live_server.url)
    page.get_by_label("Username").fill(scene.ada.username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Create a study").click()
    page.get_by_label("Name", exact=True).fill("By hand")
    page.get_by_role("button", name="Create the study").click()
    file = FilePayload(name="one.csv", mimeType="text/csv", buffer=b"key,text,tags\none,The first,\n")
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Prompts").click()
    page.get_by_role("link", name="Add prompts").click()
    page.get_by_label("List of prompts").set_input_files(file)
    page.get_by_role("button", name="Read them").click()
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_text("1 prompt added")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Publish the study…").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish the study").click()
    expect(page.get_by_text("The study is open")).to_be_visible()
    assert Study.objects.get(slug="by-hand").state == "open"
    page.get_by_role("button", name=scene.ada.username).click()
    page.get_by_role("link", name="API tokens").click()
    page.get_by_label("Name", exact=True).fill("cluster")
    page.get_by_role("button", name="Create the token").click()
    expect(page.locator("#secret")).to_contain_text("evh_")
    assert ApiToken.objects.filter(name="cluster").count() == 1
    page.get_by_role("button", name=scene.ada.username).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
