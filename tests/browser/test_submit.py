"""Submitting a folder from a real browser: with the page's script, where it cannot hash, and without JavaScript."""

import io
import zipfile
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Sample
from tests.submitting import Scene, make_scene


@pytest.fixture
def scene(live_server: LiveServer) -> Scene:
    return make_scene()


@pytest.fixture
def outputs(tmp_path: Path, scene: Scene) -> Path:
    """A folder with a folder for each prompt."""
    folder = tmp_path / "outputs"
    for path, content in scene.outputs().items():
        below = folder / path.removesuffix(".png")
        below.mkdir(parents=True)
        (below / "3.png").write_bytes(content)
    return folder


def open_form(context: BrowserContext, page: Page, site: LiveServer, scene: Scene) -> None:
    client = Client()
    client.force_login(scene.ben)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": site.url}])
    page.goto(f"{site.url}/studies/{scene.study.slug}/submit/")
    page.get_by_label("Checkpoint").fill("from-browser")


def test_a_folder_is_sent_file_by_file_and_a_repaired_one_completes_it(
    context: BrowserContext, page: Page, live_server: LiveServer, scene: Scene, outputs: Path
) -> None:
    whole = (outputs / "cat" / "3.png").read_bytes()
    (outputs / "cat" / "3.png").write_bytes(whole[:-60])
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    open_form(context, page, live_server, scene)
    page.get_by_label("A folder").set_input_files(outputs)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Incomplete: 1 file did not do, to be sent again.")).to_be_visible()
    expect(page.locator(".problems")).to_contain_text("cat/3.png does not decode as PNG")
    assert len(sent) == 3
    assert not Sample.objects.exists()

    (outputs / "cat" / "3.png").write_bytes(whole)
    open_form(context, page, live_server, scene)
    page.get_by_label("A folder").set_input_files(outputs)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="from-browser Complete")).to_be_visible()
    assert len(sent) == 4
    assert set(Sample.objects.values_list("seed", flat=True)) == {3}


def test_a_refusal_is_said_on_the_page(
    context: BrowserContext, page: Page, live_server: LiveServer, scene: Scene, outputs: Path
) -> None:
    (outputs / "cow").mkdir()
    (outputs / "cow" / "1.png").write_bytes(b"moo")
    open_form(context, page, live_server, scene)
    page.get_by_label("A folder").set_input_files(outputs)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Not submitted")).to_be_visible()
    expect(page.locator("#sending-line")).to_contain_text("no such prompts")
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()


def test_where_the_browser_cannot_hash_the_form_is_posted_with_its_paths(
    context: BrowserContext, page: Page, live_server: LiveServer, scene: Scene, outputs: Path
) -> None:
    page.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })")
    open_form(context, page, live_server, scene)
    page.get_by_label("A folder").set_input_files(outputs)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="from-browser Complete")).to_be_visible()
    assert set(Sample.objects.values_list("seed", flat=True)) == {3}


def test_a_zip_without_javascript(browser: Browser, live_server: LiveServer, scene: Scene) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in scene.outputs().items():
            archive.writestr(f"outputs/{path}", content)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    open_form(context, page, live_server, scene)
    page.get_by_label("or a zip").set_input_files(
        {"name": "outputs.zip", "mimeType": "application/zip", "buffer": out.getvalue()}
    )
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="from-browser Complete")).to_be_visible()
    context.close()
    assert Sample.objects.count() == 3
