"""Every page that a researcher or an owner can open, walked in a real browser: with everything on it, and empty.

The pages are those of the site's own addresses. A new one is walked by itself, or fails the test until it is named
here with the reason why it is not.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import axe_playwright_python
import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from playwright.sync_api import Browser, ConsoleMessage, Page
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from evalhub.leaderboard.sections import SECTIONS as LEADERBOARD
from evalhub.studies import services
from evalhub.studies.forms import SECTIONS as SETTINGS
from evalhub.studies.models import Study, Submission, User
from metrics.models import Run
from raters.models import Recruitment
from tests.browser.furnished import draft_with_a_list, furnished_study
from tests.browser.test_pages import WCAG, sign_in

LOOKS = ((1400, "light"), (360, "dark"))
# What people print, and how wide the sheet is between its margins, in CSS pixels: A4, upright or not.
PRINTED = {"study": 1017, "compare": 688, "submission": 688, "submission_duplicates": 688}
ON_PAPER = """() => {
  const seen = (one) => one.checkVisibility({ visibilityProperty: true });
  const ways = [...document.querySelectorAll("nav, .site-header, .site-footer, button:not(.sorter)")].filter(seen);
  const ground = getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number);
  const cut = [...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth + 1);
  return [
    ...ways.map((one) => `shows ${one.outerHTML.slice(0, 120)}`),
    ...cut.map((one) => `cuts ${one.getAttribute("aria-label")}: ${one.scrollWidth} of ${one.clientWidth} pixels`),
    ...(Math.min(...ground) > 240 ? [] : [`is dark: ${ground}`]),
    ...(document.querySelectorAll("thead").length && ![...document.querySelectorAll("thead th")].some(seen)
      ? ["has tables without heads"] : []),
  ];
}"""
# What is no page of ours for members, by the beginning of its address.
ELSEWHERE = {
    "admin/": "Django's own",
    "api/": "for programs; its one page is opened in test_pages",
    "accounts/": "signing in and passwords: opened in test_pages, or allauth's own, which only sends on",
    "rate/": "raters' pages, walked in test_rater_states",
    "take-part/": "raters' way in, walked in test_recruiting",
    "join/": "an invitation, opened in test_pages",
    "shown/": "pictures for raters",
    "static/": "files",
    "healthz": "for machines",
    "readyz": "for machines",
    "metrics": "for machines",
}
NOT_WALKED = {
    "home": "sends on to the studies",
    "set_language": "sends on",
    "setup": "only before anybody is there; opened in test_pages",
    "export_totals": "a part of the page of exports, which asks for it",
    "media": "a file",
    "study_archive": "a file",
    "preview": "the rater's desk, walked in test_setting_up",
    "preview_picture": "a file",
    "known_answers_file": "a file",
    "rater_pay": "a file",
    "recruitment_visits": "a file",
    "recruitment_question": "a file",
    "leaderboard_download": "a file",
    "leaderboard_section_download": "a file",
}
# With which words a page of a study is opened beside its plain address, by the end of that.
ASKED = {
    "/full/": ("?criterion=detail", "?raters=people", "?columns=rating&columns=lpips"),
    "/compare/": ("?by=votes&order=best",),
    "/gallery/": ("?q=nothing-is-called-so",),
    "/full/golds/": ("?prompt=prompt-3",),
    "/cost/": ("?cost=price",),
    "/duplicates/": ("?of=references",),
}


def addresses(patterns: Any = None, before: str = "") -> Iterator[tuple[str, str]]:
    """Every address of the site with its name."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(each.pattern).lstrip("^")
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route, each.name or ""


def names() -> list[str]:
    """The names that may be pages for members."""
    ours = [(route, name) for route, name in addresses() if not route.startswith(tuple(ELSEWHERE))]
    assert all(name for _, name in ours), f"An address has no name: {[route for route, name in ours if not name]}"
    return [name for _, name in ours if name not in NOT_WALKED]


def pages_of(study: Study, client: Client) -> dict[str, str]:
    """Where the study's pages are, and the pages of no study, with their names."""
    found: dict[str, str] = {}
    for name in names():
        for arguments in _arguments(name, study):
            path = reverse(name, kwargs=arguments)
            answer = client.get(path)
            # A deed, or nothing to show in this state of the study; or a file.
            if answer.status_code in {302, 405} or answer.get("Content-Disposition", "").startswith("attachment"):
                continue
            assert answer.status_code == 200, f"{path} answers {answer.status_code}; name it in NOT_WALKED, and why."
            assert answer["Content-Type"].startswith("text/html"), f"{path} is no page; name it in NOT_WALKED."
            more = (asked for end, asked in ASKED.items() if path.endswith(end))
            found |= {path + asked: name for asked in ("", *chain.from_iterable(more))}
    return found


def _arguments(name: str, study: Study) -> list[dict[str, Any]]:
    """Everything that the address of that name can be about, in one study."""
    (wanted,) = {tuple(parameters) for _, parameters in get_resolver().reverse_dict.getlist(name)[0][0]}
    submissions = Submission.objects.filter(checkpoint__study=study).order_by("-created_at")
    runs = Run.objects.filter(submission__in=submissions).order_by("created_at")
    values: dict[str, Any] = {
        "slug": [study.slug],
        "submission_id": _one_of_each(submissions.values_list("pk", "state", "checkpoint__withdrawn_at")),
        "run_id": _one_of_each(runs.values_list("pk", "state", "error")),
        "recruitment_id": [way.pk for way in Recruitment.objects.filter(study=study)],
        "file_id": [file.pk for file in study.vote_files.all()],
        "section": [*LEADERBOARD] if name == "leaderboard_section" else [*SETTINGS],
    }
    # What only deeds are about need not exist.
    absent: dict[str, Any] = {name: [0] for name in ("user_id", "invite_id", "gold_id")}
    absent |= {name: [UUID(int=0)] for name in ("webhook_id", "call_id", "rater_id", "margin_id", "import_id")}
    assert set(wanted) <= values.keys() | absent.keys(), f"Say here what {name} is about: {wanted}."
    combined: list[dict[str, Any]] = [{}]
    for one in wanted:
        combined = [{**each, one: value} for each in combined for value in (values | absent)[one]]
    return combined


def _one_of_each(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Keys of rows (key, what it is like), the last of those that are alike."""
    return list({str(kind): key for key, *kind in rows}.values())


class Walk:
    """One signed-in browser; `faults` is whatever was wrong with the pages so far."""

    def __init__(self, page: Page, site: str) -> None:
        self.page, self.site, self.faults = page, site, list[str]()
        self.titles: dict[str, str] = {}
        page.on("dialog", lambda dialog: self.say(f"a text ran as a script: {dialog.message}"))
        page.on("pageerror", lambda error: self.say(f"uncaught: {error}"))
        page.on("console", self._heard)
        axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
        options = json.dumps({**WCAG, "resultTypes": ["violations"], "preload": False})
        self.find = f"{axe}\n;async () => (await axe.run(document, {options})).violations"

    def say(self, fault: str) -> None:
        self.faults.append(f"{self.page.url.removeprefix(self.site)}: {fault}")

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.say(f"the console says: {message.text}")

    def open(self, path: str) -> None:
        """Open the page once, and look at it with each width and scheme, everything unfolded."""
        self.page.set_viewport_size({"width": LOOKS[0][0], "height": 900})
        self.page.goto(self.site + path)
        if self.page.locator("[hx-trigger=load]").count():
            self.page.wait_for_load_state("networkidle")
        self._headed(path)
        self.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        for width, scheme in LOOKS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            for found in self.page.evaluate(self.find):
                nodes = [node["html"][:160] for node in found["nodes"][:3]]
                self.say(f"axe, {width} {scheme}: {found['id']}, {found['nodes'][0]['failureSummary'][:300]} {nodes}")
            room = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if room > 0:
                self.say(f"{room} pixels wider than a window of {width}")

    def print(self, name: str) -> None:
        """The open page as it comes out on paper, of somebody who reads it in the dark."""
        if name in PRINTED:
            self.page.set_viewport_size({"width": PRINTED[name], "height": 900})
            self.page.emulate_media(media="print", color_scheme="dark")
            for fault in self.page.evaluate(ON_PAPER):
                self.say(f"on paper: {fault}")
            self.page.emulate_media(media="screen")

    def _headed(self, path: str) -> None:
        """One first heading; and a title that says what it says, and that no other page has."""
        headings = [" ".join(one.inner_text().split()) for one in self.page.locator("h1").all()]
        if len(headings) != 1:
            self.say(f"has {len(headings)} first headings: {headings}")
        title = self.page.title()
        parts = [part.strip().casefold() for part in title.split(" · ")]
        if parts[-1] != "evalhub" or not any(headings[0].casefold().startswith(part) for part in parts[:-1] if part):
            self.say(f"its title is “{title[:100]}”, and its heading “{headings[0][:100]}”")
        plain = path.partition("?")[0]
        if self.titles.setdefault(title, plain) != plain and "/runs/" not in plain:
            self.say(f"has the title of {self.titles[title]}: “{title[:100]}”")


@pytest.fixture
def owner(live_server: LiveServer) -> User:
    """An administrator too, who sees the log of the site."""
    return User.objects.create_superuser("o" * 150)


@pytest.fixture
def walk(browser: Browser, live_server: LiveServer, owner: User) -> Iterator[Walk]:
    # Without transitions: a colour on its way from light to dark has no contrast.
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(20_000)
    sign_in(context, live_server, owner)
    yield Walk(context.new_page(), live_server.url)
    context.close()


def test_every_page_of_a_full_study(walk: Walk, owner: User, client: Client, settings: Settings) -> None:
    settings.SHARD_SIZE = 2  # so that a run has several parts
    study = furnished_study(owner)
    client.force_login(owner)
    full = pages_of(study, client)
    of_draft = pages_of(draft_with_a_list(owner), client)
    for path, name in full.items():
        walk.open(path)
        walk.print(name)
    for path, name in of_draft.items():
        if name not in full.values() or name in {"prompts", "study_settings", "study_questions", "study_section"}:
            walk.open(path)
    assert not walk.faults, "\n".join(walk.faults)


def test_every_page_of_an_empty_study_says_what_comes_next(walk: Walk, owner: User, client: Client) -> None:
    study = services.create_study(slug="empty", name="Empty", actor=owner)
    client.force_login(owner)
    for path in pages_of(study, client):
        walk.open(path)
        for empty in walk.page.locator(".empty").all():
            if not empty.locator("h2, h3").count() or not empty.locator("p").count():
                walk.say(f"is empty and does not say what comes next: “{empty.inner_text()}”")
    assert not walk.faults, "\n".join(walk.faults)
