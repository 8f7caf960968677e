"""A study set up by clicks alone, from nothing until raters can come; and its preview, which takes no answer."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from playwright.sync_api import FilePayload, Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies import services
from evalhub.studies.models import Study, User
from raters.models import Comparison
from tests.browser.rating import until
from tests.browser.test_pages import look, sign_in
from tests.submitting import make_scene, picture

ROWS = (
    "key,text,tags,source,mask\ncat,Give the cat a hat,animal,in/cat.png,in/cat-mask.png\nroad,In snow,,in/road.png,\n"
)


@pytest.fixture
def ada(page: Page, live_server: LiveServer, transactional_db: None) -> User:
    ada = User.objects.create_superuser("ada", password="a pass phrase for tests")
    sign_in(page.context, live_server, ada)
    return ada


def zipped() -> FilePayload:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("edits/list.csv", ROWS)
        for seed, name in enumerate(("in/cat.png", "in/cat-mask.png", "in/road.png", "references/cat.png")):
            archive.writestr(f"edits/{name}", picture(seed, (96, 64)))
    return FilePayload(name="edits.zip", mimeType="application/zip", buffer=packed.getvalue())


def test_a_study_is_set_up_by_clicks_alone(page: Page, live_server: LiveServer, ada: User) -> None:
    page.goto(live_server.url)
    page.get_by_role("link", name="Create a study").click()
    page.get_by_label("Name", exact=True).fill("Edits of photographs")
    page.get_by_role("button", name="Create the study").click()
    expect(page.get_by_role("heading", name="What it has, and what it lacks")).to_be_visible()
    expect(page.get_by_text("There is none yet.").first).to_be_visible()
    expect(page.get_by_role("button", name="Publish the study…")).to_have_count(0)

    sections = page.get_by_role("navigation", name="Settings")
    sections.get_by_role("link", name="Questions").click()
    page.get_by_role("button", name="Add the question “Which one keeps better what was to stay?”").click()
    expect(page.get_by_role("group", name="Preservation")).to_be_visible()
    page.get_by_role("button", name="Move “Preservation” up").click()
    expect(page.get_by_text("“Preservation” is question 1 now.")).to_be_visible()
    page.get_by_role("group", name="Quality").get_by_label("“Both bad” is an answer").uncheck()
    page.get_by_role("button", name="Save the questions").click()

    sections.get_by_role("link", name="Texts").click()
    page.get_by_label("Consent").fill("I take part **freely**.")
    page.get_by_label("Instructions").fill("# Look closely\n\nZoom in.")
    page.get_by_role("button", name="See it as raters would").click()
    expect(page.locator("strong", has_text="freely")).to_be_visible()
    expect(page.get_by_role("heading", name="Look closely")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()

    sections.get_by_role("link", name="Showing").click()
    page.get_by_label("Changed what should have stayed").check()
    page.get_by_label("Reasons of your own").fill("Wrong hat")
    page.get_by_label("A rater may mark where the worse one is wrong").check()
    page.get_by_role("button", name="Save").click()
    sections.get_by_role("link", name="Limits").click()
    page.get_by_label("Budget of answers").fill("500")
    page.get_by_role("button", name="Save").click()

    page.get_by_role("navigation", name="Study").get_by_role("link", name="Prompts").click()
    page.get_by_role("link", name="Add prompts").click()
    torn = FilePayload(name="torn.csv", mimeType="text/csv", buffer=b"key,text,source\na,b,nowhere.png\n")
    page.get_by_label("List of prompts").set_input_files(torn)
    page.get_by_role("button", name="Read them").click()
    expect(page.get_by_text("Line 2 “nowhere.png”, its source, is not among the files.")).to_be_visible()
    page.get_by_role("link", name="choose it again").click()
    page.get_by_label("Or a zip with both").set_input_files(zipped())
    page.get_by_role("button", name="Read them").click()
    expect(page.get_by_role("img", name="Mask of cat")).to_be_visible()
    expect(page.get_by_role("img", name="Reference of cat")).to_be_visible()
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_text("2 prompts added.")).to_be_visible()

    page.get_by_role("link", name="Settings").click()
    sections.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("Prompt 1 of 2")).to_be_visible()
    page.get_by_role("link", name="Leave the preview").click()
    page.get_by_role("button", name="Publish the study…").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish the study").click()
    expect(page.get_by_text("The study is open: raters can compare.")).to_be_visible()

    study = Study.objects.get(slug="edits-of-photographs")
    assert study.state == "open"
    asked = list(study.criteria.values_list("key", "allows_both_bad"))
    assert asked == [("preservation", True), ("quality", False)]
    assert (study.reason_tags, study.asks_region) == (["Changed what should have stayed", "Wrong hat"], True)
    assert (study.vote_budget, study.consent) == (500, "I take part **freely**.")
    cat = study.prompts.get(key="cat")
    assert cat.source is not None
    assert cat.mask is not None
    assert cat.reference is not None
    assert study.prompts.get(key="road").mask is None


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (360, "dark")])
def test_pages_of_setting_up_are_accessible_and_fit(
    page: Page, live_server: LiveServer, width: int, scheme: str
) -> None:
    scene = make_scene()
    scene.study.consent = "I take part **freely**."
    scene.study.save()
    services.read_prompts(
        study=scene.study, actor=scene.ada, archive=SimpleUploadedFile("edits.zip", zipped()["buffer"])
    )
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    sign_in(page.context, live_server, scene.ada)
    wrong: list[str] = []
    for path in ("prompts/waiting", "prompts/add", "prompts", "settings", "questions", "settings/showing"):
        look(page, f"{live_server.url}/studies/faces/{path}/", wrong)
    for query in ("page=consent", "page=instructions", "prompt=2", "prompt=9"):
        look(page, f"{live_server.url}/studies/faces/preview/?{query}", wrong)
    assert not wrong, "\n".join(wrong)


def test_a_preview_is_the_desk_and_takes_no_answer(page: Page, live_server: LiveServer, ada: User) -> None:
    scene = make_scene()
    for seed, name in enumerate(("secret-plain", "secret-distilled")):
        scene.submit(scene.outputs(seed), name=name)
    services.change_study(study=scene.study, actor=scene.ada, reason_tags=["Blurred"])
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    sign_in(page.context, live_server, scene.ben)
    page.goto(f"{live_server.url}/studies/faces/preview/")
    until(page, "document.querySelector('[data-revealed]') !== null")
    assert page.evaluate("document.querySelector('.pane img').naturalWidth") == 24
    expect(page.get_by_text("A cat")).to_be_visible()
    until(page, "!document.querySelector('.choices button').disabled")
    page.wait_for_timeout(600)  # nobody has looked at a pair any sooner
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Prompt 2 of 3")).to_be_visible()
    expect(page.get_by_text("A dog")).to_be_visible()
    assert not sent
    assert not Comparison.objects.exists()
    Study.objects.update(is_sensitive=True)
    page.reload()
    until(page, "document.querySelector('[data-revealed]') !== null")
    page.wait_for_timeout(600)
    expect(page.get_by_role("button", name="I want to see them")).to_be_visible()
    page.keyboard.press("ArrowLeft")  # nothing is answered about what is blurred
    expect(page.get_by_text("Prompt 2 of 3")).to_be_visible()
    page.get_by_role("button", name="I want to see them").click()
    expect(page.locator("body.covered")).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Prompt 3 of 3")).to_be_visible()
    assert not sent
    client = Client()
    for who, status in ((scene.vera, 200), (scene.ria, 403), (scene.cy, 404)):
        client.force_login(who)
        assert client.get("/studies/faces/preview/").status_code == status
        assert client.get("/studies/faces/preview/1/left").status_code == status
    client.force_login(scene.ada)
    assert client.get("/studies/faces/preview/1/mask").status_code == 404
    assert client.get("/studies/faces/preview/9/left").status_code == 404
