"""A study's rules in a real browser: settings in each state, a withdrawal, the page of a rater whose day is over."""

from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies import services
from evalhub.studies.models import Checkpoint, Study, User
from raters import services as raters
from raters.models import Enrolment, Fit
from tests.browser.test_pages import look, sign_in
from tests.submitting import Scene, make_scene


@pytest.fixture
def scene(live_server: LiveServer) -> Scene:
    """An open study whose contestants are registered, with a budget and a ranking; one of them came too late."""
    scene = make_scene()
    for seed, name in enumerate(("plain", "distilled", "quantised")):
        scene.submit(scene.outputs(seed), name=name)
    services.register_contestants(study=scene.study, actor=scene.ada)
    scene.submit(scene.outputs(9), name="late")
    study = services.change_study(
        study=scene.study, actor=scene.ada, vote_budget=400, votes_per_rater_per_day=1, publishes_late=True
    )
    services.publish_study(study=study, actor=scene.ada)
    ids = [str(checkpoint.pk) for checkpoint in study.checkpoints.registered()]
    pairs = [{"upper": upper, "lower": lower, "separated": upper == ids[0]} for upper, lower in pairwise(ids)]
    Fit.objects.create(study=study, criterion=study.criteria.get(), separations=pairs)
    enrolment = raters.enrol(study=study, user=scene.ria)
    raters.start(enrolment=enrolment)
    Enrolment.objects.filter(pk=enrolment.pk).update(answers=123)
    return scene


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (360, "dark")])
def test_rules_are_accessible_and_fit_their_window(
    page: Page, live_server: LiveServer, scene: Scene, width: int, scheme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    sign_in(page.context, live_server, scene.ada)
    wrong: list[str] = []
    draft = services.create_study(slug="draft", name="Draft", actor=scene.ada)
    late = Checkpoint.objects.get(name="late").submission
    sections = [
        f"/studies/{draft.slug}/{part}/" for part in ("settings", "questions", "settings/showing", "prompts/add")
    ]
    for path in (*sections, "/studies/faces/progress/", f"/submissions/{late.pk}/"):
        look(page, live_server.url + path, wrong)
    look(page, live_server.url + "/studies/faces/settings/", wrong)
    expect(page.get_by_text("123 of 400")).to_be_visible()
    expect(page.get_by_text("1 of 2 neighbouring pairs told apart")).to_be_visible()
    expect(page.get_by_text("1 begun since is neither offered to raters nor ranked.")).to_be_visible()
    Study.objects.filter(slug="faces").update(vote_budget=123)
    assert raters.close_if_done(study=scene.study)
    look(page, live_server.url + "/studies/faces/settings/", wrong)
    expect(page.get_by_text("closed itself when its budget of answers was there: 123 answers")).to_be_visible()
    assert not wrong, "\n".join(wrong)


def test_a_checkpoint_is_withdrawn_by_keyboard(page: Page, live_server: LiveServer, scene: Scene) -> None:
    sign_in(page.context, live_server, scene.ben)
    plain = Checkpoint.objects.get(name="plain")
    page.goto(f"{live_server.url}/submissions/{plain.submission.pk}/")
    page.get_by_role("button", name="Withdraw this checkpoint…").press("Enter")
    dialog = page.get_by_role("dialog", name="Withdraw plain?")
    expect(dialog).to_be_visible()
    wrong: list[str] = []
    dialog.get_by_label("Why").fill("It was trained on the prompts.")
    dialog.get_by_role("button", name="Withdraw", exact=True).press("Enter")
    expect(page.get_by_text("It was trained on the prompts. Raters are not shown it any more.")).to_be_visible()
    look(page, page.url, wrong)
    page.get_by_role("button", name="Take the withdrawal back").press("Enter")
    expect(page.get_by_role("button", name="Withdraw this checkpoint…")).to_be_visible()
    plain.refresh_from_db()
    assert plain.withdrawn_at is None
    assert not wrong, "\n".join(wrong)


def test_a_draft_gets_a_second_question(page: Page, live_server: LiveServer, scene: Scene) -> None:
    draft = services.create_study(slug="draft", name="Draft", actor=scene.ada)
    sign_in(page.context, live_server, scene.ada)
    page.goto(f"{live_server.url}/studies/draft/questions/")
    group = page.get_by_role("group", name="One more question, if you like")
    group.get_by_label("Name").fill("Detail")
    group.get_by_label("Question", exact=True).fill("Which has more detail?")
    page.get_by_role("button", name="Save the questions").click()
    expect(page.get_by_text("The questions are saved.")).to_be_visible()
    assert list(draft.criteria.values_list("key", flat=True)) == ["quality", "detail"]
    expect(page.get_by_role("group", name="Detail")).to_be_visible()


def test_the_page_of_a_finished_day(page: Page, live_server: LiveServer, scene: Scene) -> None:
    user = User.objects.get(pk=scene.ria.pk)
    enrolment = Enrolment.objects.get(rater__user=user)
    _answered_today(enrolment)
    sign_in(page.context, live_server, user)
    wrong: list[str] = []
    for width in (1400, 360):
        page.set_viewport_size({"width": width, "height": 900})
        look(page, live_server.url + "/rate/faces/", wrong)
        expect(page.get_by_role("heading", name="That is all for today")).to_be_visible()
    assert not wrong, "\n".join(wrong)


def _answered_today(enrolment: Enrolment) -> None:
    """One comparison that she has answered."""
    raters.prepare_presentation(study=enrolment.study)
    comparison = raters.next_comparison(study=enrolment.study, rater=enrolment.rater)
    assert comparison is not None
    raters.cast_vote(token=comparison.token, rater=enrolment.rater, answers={"quality": "left"})
