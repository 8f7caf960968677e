"""The review of raters and the ship tests in a real browser: by keyboard, and in place."""

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from evalhub.studies.models import Membership, Role, User
from raters import services
from tests.browser.test_pages import sign_in
from tests.raters.ballots import ballot, load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk, make_desk


@pytest.fixture
def desk(live_server: LiveServer) -> Desk:
    """People and simulated raters, one who always presses left, one excluded; ship tests of every outcome."""
    cache.clear()
    desk = make_desk(prompts=8)
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    load(desk)
    owner = User.objects.create_user("owner")
    Membership.objects.create(study=desk.study, user=owner, role=Role.OWNER)
    claims = [(2, 0, 150.0), (0, 2, 200.0), (2, 1, 10.0), (1, 0, 60.0)]
    margins = [
        services.register_margin(
            study=desk.study,
            criterion=desk.study.criteria.get(),
            candidate=desk.checkpoints[candidate],
            baseline=desk.checkpoints[baseline],
            margin=margin,
            actor=owner,
        )
        for candidate, baseline, margin in claims
    ]
    enrolments = people(desk, 8)
    vote_on_all(desk, enrolments, noisy(3, spread=2), milliseconds=3100)
    vote_on_all(desk, simulated_raters(desk, 2), noisy(4))
    vote_on_all(desk, [desk.rater("lefty")], lambda left, right: "left", milliseconds=240)
    ria = enrolments[0]
    save([ballot(desk, ria, 1, 0, prompt, "left", control="repeat") for prompt in range(4)])
    save([ballot(desk, ria, 2, 0, prompt, "left", control="gold", expected="left") for prompt in range(3)])
    services.set_group(enrolment=ria, group="experts", actor=owner)
    services.set_exclusion(enrolment=enrolments[1], reason="Voted from two accounts on the same day.", actor=owner)
    services.refit(study=desk.study)
    services.withdraw_margin(margin=margins[3], reason="The candidate was trained anew.", actor=owner)
    return desk


def test_excluding_and_including_happen_in_place_and_by_keyboard(
    page: Page, live_server: LiveServer, desk: Desk
) -> None:
    lefty = desk.study.enrolments.get(rater__user__username="lefty")
    name = lefty.rater.pseudonym
    sign_in(page.context, live_server, User.objects.get(username="owner"))
    page.goto(live_server.url + reverse("rater_review", args=[desk.study.slug]) + "?sort=-votes")
    page.evaluate("window.unchanged = true")
    opener = page.locator(f"#state-{lefty.pk}")
    opener.focus()
    page.keyboard.press("Enter")
    reason = page.get_by_label(f"Why rater {name} is excluded")
    expect(reason).to_be_visible()
    reason.fill("Always left.")
    page.keyboard.press("Enter")
    again = page.get_by_role("button", name=f"Include rater {name} again")
    expect(again).to_be_visible()
    expect(page.locator("#notices")).to_contain_text("no longer count")
    expect(page.get_by_role("cell", name="Always left.")).to_be_visible()
    again.click()
    expect(page.locator(f"summary#state-{lefty.pk}")).to_be_visible()
    group = page.get_by_label(f"Group of rater {name}")
    group.fill("g" * 41)
    assert group.input_value() == "g" * 40  # the field takes no more
    group.fill("night shift")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("in the group “night shift”")
    assert page.evaluate("window.unchanged") is True  # the page was never loaded anew
    assert page.url.endswith("?sort=-votes")
    lefty.refresh_from_db()
    assert (lefty.excluded_at, lefty.group) == (None, "night shift")
