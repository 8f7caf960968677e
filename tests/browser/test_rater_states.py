"""Every page that a rater meets, in every state: for axe, telephones, keys, eyes and ears, in two languages."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from django.core.cache import cache
from PIL import Image
from playwright.sync_api import Page, expect

from evalhub.studies import services as studies
from evalhub.studies.models import (
    Checkpoint,
    Criterion,
    Membership,
    Modality,
    Role,
    Sample,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    User,
)
from evalhub.studies.services import store_media
from raters import services
from raters.models import Comparison, Enrolment, EnrolmentState
from tests.browser.measuring import faults, focus_faults, motion
from tests.browser.rating import desk, revealed, seat, sign_in, site, until
from tests.filming import film
from tests.raters.arrivals import from_prolific, way_in
from tests.raters.conftest import Desk, make_desk
from tests.raters.gold_scenes import gold, newcomer, rule, wrong

__all__ = ["desk", "site"]  # fixtures
KEYS = {"left": "ArrowLeft", "right": "ArrowRight"}


class Walk:
    """A rater at a page, and what was found wrong in each state on her way."""

    def __init__(self, page: Page, site: str, desk: Desk) -> None:
        self.page, self.site, self.desk = page, site, desk
        self.wrong: list[str] = []
        self.seen: list[str] = []
        page.set_viewport_size({"width": 1400, "height": 900})

    def go(self, address: str = "/rate/study/", heading: str = "") -> None:
        self.page.goto(self.site + address)
        if heading:
            expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()

    def look(self, state: str) -> None:
        self.seen.append(state)
        self.wrong += [f"{state}: {fault}" for fault in faults(self.page)]

    def change(self, **values: object) -> None:
        Study.objects.filter(pk=self.desk.study.pk).update(**values)

    def become(self, state: EnrolmentState) -> None:
        Enrolment.objects.filter(rater__user__username="ria").update(state=state)

    def done(self, expected: int) -> None:
        assert not self.wrong, "\n".join(self.wrong)
        assert len(self.seen) == expected, self.seen


@pytest.fixture
def walk(page: Page, site: str, desk: Desk) -> Walk:
    cache.clear()
    return Walk(page, site, desk)


def test_the_way_in(walk: Walk) -> None:
    """Invitation, sign-in, consent, the window's size, instructions, practice and qualification."""
    page, desk = walk.page, walk.desk
    gold(desk, "training", 0, explanation="The edges of the *first* are **blurred**.")
    gold(desk, "qualification", 1)
    rule(desk, qualification_share=1.0, least_width=300, least_height=300, gold_every=3, pay_per_comparison="0.05")
    walk.change(instructions="# What matters\n\nLook at the [edges](https://example.org/) and | a | table |.")
    _, token = studies.create_invite(study=desk.study, role=Role.RATER, actor=User.objects.get(username="olga"))
    walk.go(f"/join/{token}/", desk.study.name)
    page.get_by_text("Choose a name, to come back from any browser").click()
    walk.look("invitation")
    walk.go("/accounts/login/", "Sign in")
    walk.look("sign-in")
    Membership.objects.create(study=desk.study, user=User.objects.create_user("ria"), role=Role.RATER)
    sign_in(page.context, walk.site, "ria")
    walk.go("/studies/", "Studies")
    walk.look("her studies")
    walk.go(heading=desk.study.name)
    walk.look("consent")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="How large is your window?")).to_be_visible()
    walk.look("window")
    page.get_by_role("button", name="Check and continue").click()
    expect(page.get_by_role("heading", name="How it works")).to_be_visible()
    walk.look("instructions")
    walk.wrong += focus_faults(page)
    page.get_by_role("button", name="Begin").click()
    revealed(page)
    walk.look("practice")
    lesson = Comparison.objects.latest("created_at")
    page.keyboard.press(KEYS[wrong(lesson)])
    expect(page.get_by_role("heading", name="The other answer was expected")).to_be_visible()
    walk.look("explanation")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Qualification: 1 of 1")).to_be_visible()
    revealed(page)
    lesson = Comparison.objects.latest("created_at")
    page.keyboard.press(KEYS[wrong(lesson)])
    expect(page.get_by_role("heading", name="Not yet")).to_be_visible()
    walk.look("not qualified yet")
    walk.done(9)


def test_the_desk(walk: Walk) -> None:
    """With one question and with several, all that can be said, and everything that opens over it."""
    page, desk = walk.page, walk.desk
    rule(desk, break_after_minutes=30)
    seat(page, walk.site, desk)
    walk.look("one question")
    walk.wrong += focus_faults(page) + motion(page)
    page.get_by_role("button", name="View").click()
    expect(page.locator("#looking")).to_be_visible()
    walk.look("view")
    page.keyboard.press("Escape")
    for key, opened in (("?", "#help"), ("x", "#skipping")):
        page.keyboard.press(key)
        expect(page.locator(opened)).to_be_visible()
        walk.look(opened)
        page.keyboard.press("Escape")
        expect(page.locator(opened)).to_be_hidden()
    page.evaluate("document.getElementById('rest').showModal()")
    walk.look("break")
    walk.change(
        reason_tags=["Anatomy", "Blurred", "Wrong logo"], asks_region=True, asks_comment=True, is_sensitive=True
    )
    for position, name in enumerate(("Detail", "Alignment with a rather long name"), 1):
        question = "Which one follows the prompt better in every detail?"
        Criterion.objects.create(study=desk.study, key=f"c{position}", name=name, question=question, position=position)
    walk.go()
    revealed(page)
    walk.look("blurred")
    page.keyboard.press("h")
    expect(page.locator("body.covered")).to_have_count(0)
    walk.look("several questions and reasons")
    walk.wrong += focus_faults(page) + motion(page)
    walk.done(7)


def test_the_ways_out(walk: Walk) -> None:
    """Done, done for today, screened out, not open, her own page, and leaving as a platform's participant."""
    page, desk = walk.page, walk.desk
    seat(page, walk.site, desk)
    for state, heading in (
        (StudyState.PAUSED, "This study is paused"),
        (StudyState.CLOSED, "This study is closed"),
        (StudyState.DRAFT, "This study has not begun"),
    ):
        walk.change(state=state)
        walk.go(heading=heading)
        walk.look(state.value)
    walk.change(state=StudyState.OPEN)
    walk.become(EnrolmentState.SCREENED_OUT)
    walk.go(heading="Thank you for trying")
    walk.look("screened out")
    walk.become(EnrolmentState.ACTIVE)
    walk.go()
    revealed(page)
    page.keyboard.press("ArrowLeft")
    until(page, "!Object.keys(localStorage).some((name) => name.startsWith('evalhub.unsent.'))")
    walk.change(votes_per_rater_per_day=1)
    walk.go(heading="That is all for today")
    walk.look("done for today")
    walk.change(votes_per_rater_per_day=None, votes_per_rater=1)
    walk.go(heading="Thank you")
    walk.look("done")
    walk.go("/rate/study/mine/", "What I did")
    for summary in page.locator("summary").all():
        summary.click()
    walk.look("her own page")
    walk.wrong += focus_faults(page)
    walk.go("/rate/nothing/")
    walk.look("nothing here")
    page.context.clear_cookies()
    link, prolific = way_in(desk, "link", name="link"), way_in(desk, "prolific", name="prolific")
    walk.go(f"/take-part/{link.token}/")
    walk.look("open link")
    walk.go("/take-part/nothing/")
    walk.look("link that leads nowhere")
    walk.go(from_prolific(prolific))
    walk.look("from Prolific")
    page.get_by_role("button", name="I do not take part").click(no_wait_after=True)
    expect(page.get_by_text("Please return your submission on Prolific")).to_be_visible()
    walk.look("leaving")
    walk.done(12)


def test_videos(walk: Walk, tmp_path: Path) -> None:
    films = make_desk("films", prompts=1, modality=Modality.VIDEO, requires_watching=True)
    for name in ("Alpha", "Beta"):
        checkpoint = Checkpoint.objects.create(study=films.study, name=name)
        Submission.objects.create(
            checkpoint=checkpoint, state=SubmissionState.COMPLETE, completed_at=films.study.created_at
        )
        path = film(tmp_path / f"{name}.mp4", frames=8, rate=8 if name == "Alpha" else 4)
        media = store_media(study=films.study, path=path)
        Sample.objects.create(checkpoint=checkpoint, prompt=films.prompts[0], media=media)
    services.prepare_presentation(study=films.study)
    seat(walk.page, walk.site, films)
    walk.look("videos")
    walk.wrong += focus_faults(walk.page)
    walk.done(1)


# -- eyes and ears -------------------------------------------------------------------------------------------------


def test_what_a_screen_reader_hears_tells_the_sides_apart_by_nothing(walk: Walk) -> None:
    """Two contestants of other sizes and names: the desk is heard the same way round and the other way round."""
    page, desk = walk.page, walk.desk
    seat(page, walk.site, desk)
    heard = page.locator("#desk .pair").aria_snapshot()
    assert '"Left picture"' in heard
    assert '"Right picture"' in heard
    lines = [line.replace("Left", "*").replace("Right", "*") for line in heard.splitlines() if "picture" in line]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    everything = page.locator("body").aria_snapshot()
    for checkpoint in desk.checkpoints:
        assert checkpoint.name not in everything
    assert not re.search(r"\b(?:48|32)\b|\.png|\.webp|shown/", everything)


@pytest.mark.parametrize("forced", ["active", "none"])
def test_every_button_is_seen_where_colours_are_forced(walk: Walk, forced: str) -> None:
    page = walk.page
    page.emulate_media(forced_colors="active" if forced == "active" else "none")
    seat(page, walk.site, walk.desk)
    page.get_by_role("button", name="View").click()
    bare = page.evaluate(
        """() => [...document.querySelectorAll("button")].filter((button) => button.checkVisibility()
          && !["Left", "Top"].every((side) => parseFloat(getComputedStyle(button)[`border${side}Width`]) >= 1))
          .map((button) => button.outerHTML.slice(0, 120))"""
    )
    assert bare == []
    # Which of several is pressed is seen, in whatever colours.
    pressed, other = (
        page.locator(f"#looking [aria-pressed={state}]").first.screenshot() for state in ("true", "false")
    )
    assert ground(pressed) != ground(other)


def ground(screenshot: bytes) -> object:
    """The colour that most of a picture has."""
    with Image.open(io.BytesIO(screenshot)) as picture:
        return Counter(picture.convert("RGB").get_flattened_data()).most_common(1)[0][0]


def test_the_left_one_stays_left_where_writing_runs_to_the_left(walk: Walk) -> None:
    page = walk.page
    seat(page, walk.site, walk.desk)
    page.evaluate("document.documentElement.dir = 'rtl'")

    def places(selector: str) -> list[float]:
        script = f"[...document.querySelectorAll('{selector}')].map((each) => each.getBoundingClientRect().x)"
        found: list[float] = page.evaluate(script)
        return found

    left, right = places(".pane img")
    assert left < right
    answers = places(".choices .left, .choices .right")
    assert answers[0] < answers[1]
    for width in (360, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_german_fits_too(walk: Walk) -> None:
    page, desk = walk.page, walk.desk
    newcomer(desk, "nina")
    page.context.add_cookies([{"name": "language", "value": "de", "url": walk.site}])
    rule(desk, gold_every=5, pay_per_comparison="0.05", qualification_share=0.8)
    sign_in(page.context, walk.site, "nina")
    walk.go(heading="So geht es")
    walk.look("instructions")
    assert page.evaluate("document.documentElement.lang") == "de"
    walk.go("/rate/study/mine/", "Was ich getan habe")
    walk.look("her own page")
    walk.change(reason_tags=["Anatomy", "Blurred"], asks_region=True, asks_comment=True)
    seat(page, walk.site, desk)
    expect(page.get_by_role("button", name="Gleich gut")).to_be_visible()
    expect(page.get_by_text("Anatomie")).to_be_visible()
    walk.look("desk")
    page.keyboard.press("?")
    walk.look("keys")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    walk.look("skipping")
    walk.done(5)
