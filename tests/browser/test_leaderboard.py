"""The leaderboard in a real browser: it fits every width; a slice is asked for and appears."""

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.leaderboard.services import find_agreement
from evalhub.studies.models import Membership, Role, Study, User
from raters.models import Fit, FitState
from raters.services import fit_slice, refit
from tests.benchmarks._filled import filled_study
from tests.browser.test_pages import sign_in
from tests.leaderboard.test_agreement import give_scores

PAGE = "/studies/filled/"
SECTIONS = ("head-to-head", "training", "cost", "metrics", "history")
# Every contestant is called like this, and wants to be a script.
LONG = "<img src=x onerror=alert(1)> a contestant with a long name, number {}"


@pytest.fixture
def study(live_server: LiveServer, page: Page) -> Study:
    """Six contestants of two families with steps, costs, scores and two rankings; an owner is signed in."""
    study = filled_study("filled", 2_000, contestants=6, prompts=20, raters=30)
    for number, checkpoint in enumerate(study.checkpoints.order_by("name")):
        checkpoint.name, checkpoint.family = LONG.format(number), f"Family {number % 2}"
        checkpoint.step, checkpoint.latency_p50, checkpoint.price = 1000 * (7 - number), 2.0 / (number + 1), 0.01
        checkpoint.save()
    study.prompts.filter(position__lt=10).update(tags=["night"])
    give_scores(study, "lpips", rising=True)
    give_scores(study, "fid", rising=False, per_sample=False)
    for _ in range(2):
        refit(study=study)
    find_agreement(study=study)
    owner = User.objects.create_user("ada")
    Membership.objects.create(study=study, user=owner, role=Role.OWNER)
    page.on("dialog", lambda dialog: pytest.fail(f"A name ran as a script: {dialog.message}"))
    sign_in(page.context, live_server, owner)
    return study


def open_all(page: Page) -> None:
    """Everything folded away on the page."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def test_no_page_is_wider_than_its_window(page: Page, live_server: LiveServer, study: Study) -> None:
    for path in (PAGE, *(f"{PAGE}leaderboard/{section}/" for section in SECTIONS)):
        page.goto(live_server.url + path)
        open_all(page)
        for width in (1400, 768, 360):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width, f"{path} at {width}"


def test_names_in_the_drawings_are_whole(page: Page, live_server: LiveServer, study: Study) -> None:
    """No text of a drawing reaches out of it, at any width."""
    for width in (1400, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for path in (PAGE, *(f"{PAGE}leaderboard/{section}/" for section in ("training", "metrics", "history"))):
            page.goto(live_server.url + path)
            cut = page.evaluate(
                """() => [...document.querySelectorAll("figure.chart svg")]
                    .filter((drawing) => drawing.getBoundingClientRect().width > 0)
                    .flatMap((drawing) => {
                        const edge = drawing.getBoundingClientRect();
                        return [...drawing.querySelectorAll("text")]
                            .map((text) => [text.textContent, text.getBoundingClientRect()])
                            .filter(([, box]) => box.left < edge.left - 1 || box.right > edge.right + 1)
                            .map(([name]) => name);
                    })"""
            )
            assert cut == [], f"{path} at {width}"


def test_a_slice_is_asked_for_and_appears(page: Page, live_server: LiveServer, study: Study) -> None:
    page.goto(live_server.url + PAGE)
    page.get_by_text("Votes: all that count", exact=True).click()
    page.get_by_label("Prompts tagged").select_option("night")
    page.get_by_label("Model").select_option("bradley-terry")
    page.locator(".choosing").filter(has_text="Excluded raters").get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"\?.*tag=night"))
    page.get_by_role("button", name="Make this ranking").click()
    expect(page.get_by_text("waiting for a worker")).to_be_visible()
    fit_slice(fit=Fit.objects.get(state=FitState.WAITING))
    expect(page.get_by_role("button", name="Make it anew")).to_be_visible(timeout=20_000)  # without a reload
    permanent = page.get_by_role("link", name="Permanent link")
    expect(permanent).to_be_visible()
    permanent.click()
    expect(page.get_by_text("prompts tagged “night”; Bradley–Terry model").first).to_be_visible()
    expect(page.get_by_text("reproduce_fit")).to_be_visible()


def test_columns_are_chosen_and_the_table_is_sorted(page: Page, live_server: LiveServer, study: Study) -> None:
    page.goto(live_server.url + PAGE)
    page.get_by_text("Columns", exact=True).click()
    chooser = page.locator(".choosing").filter(has_text="Cost, self-reported")
    for name in ("Win", "Tie", "Both bad"):
        chooser.get_by_label(name, exact=True).uncheck()
    chooser.get_by_role("checkbox", name=re.compile("^FID")).uncheck()
    chooser.get_by_label("Family").check()
    chooser.get_by_role("button", name="Show").click()
    table = page.get_by_role("region", name="Leaderboard table")
    expect(table.get_by_role("columnheader", name="FID")).to_have_count(0)
    table.get_by_role("link", name="Latency").click()
    expect(table.get_by_role("columnheader", name="Latency")).to_have_attribute("aria-sort", "ascending")
    expect(table.get_by_role("columnheader", name="Family")).to_be_visible()
    expect(table.get_by_role("rowheader").first).to_contain_text("number 5")
