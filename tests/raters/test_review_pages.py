"""The pages and the API where owners look at raters, and where ship tests are registered: who, what, and why not."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from evalhub.studies import services as studies
from evalhub.studies.models import Checkpoint, Criterion, Membership, Role, StudyState, TokenScope, User
from raters import services
from raters.models import Enrolment, Margin
from raters.views.review import HEADS
from tests.raters.ballots import ballot, load, noisy, people, save, simulated_raters, vote_on_all
from tests.raters.conftest import Desk

Rung = list[tuple[Any, ...]]
Visitor = Callable[[str], Client]


@pytest.fixture
def visitor(desk: Desk) -> Visitor:
    """A client signed in as a member with the role, or as a stranger."""

    def sign_in(role: str) -> Client:
        user, _ = User.objects.get_or_create(username=role)
        if role != "stranger":
            Membership.objects.get_or_create(study=desk.study, user=user, role=role)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def voted(desk: Desk, rung: Rung) -> Desk:
    """Four people, one simulated rater, one who always presses left; all fitted."""
    load(desk)
    vote_on_all(desk, people(desk, 4), noisy(1, spread=2.5), milliseconds=2500)
    vote_on_all(desk, simulated_raters(desk, 1), noisy(2))
    vote_on_all(desk, [desk.rater("lefty")], lambda left, right: "left")
    services.refit(study=desk.study)
    return desk


def address(name: str, desk: Desk, *more: object) -> str:
    return reverse(name, args=[desk.study.slug, *more])


def lefty(desk: Desk) -> Enrolment:
    return desk.study.enrolments.select_related("rater").get(rater__user__username="lefty")


# -- who ----------------------------------------------------------------------------------------------------------


def test_only_owners_see_raters(voted: Desk, visitor: Visitor) -> None:
    rater = lefty(voted).rater_id
    asked = [
        ("get", address("rater_review", voted)),
        ("post", address("rater_exclude", voted, rater)),
        ("post", address("rater_group", voted, rater)),
        ("get", address("v1:raters", voted)),
        ("post", address("v1:rater_exclusion", voted, rater)),
    ]
    for role, status in (("stranger", 404), ("rater", 403), ("viewer", 403), ("researcher", 403)):
        client = visitor(role)
        for verb, path in asked:
            given = {"reason": "x"} if verb == "post" else {}
            assert getattr(client, verb)(path, given).status_code == status, (role, path)
    assert Client().get(asked[0][1]).status_code == 302
    assert lefty(voted).excluded_at is None
    owner = visitor("owner")
    for name in ("rater_exclude", "rater_group"):
        assert owner.post(address(name, voted, uuid.uuid4()), {"reason": "x"}).status_code == 404
        assert owner.get(address(name, voted, rater)).status_code == 405


def test_ship_tests_are_seen_by_all_but_raters_and_registered_by_researchers(voted: Desk, visitor: Visitor) -> None:
    claim = claim_of(voted)
    for role, see, register in (
        ("stranger", 404, 404),
        ("rater", 403, 403),
        ("viewer", 200, 403),
        ("researcher", 200, 302),
    ):
        client = visitor(role)
        assert client.get(address("ship_tests", voted)).status_code == see
        assert client.get(address("v1:ship_tests", voted)).status_code == see
        assert client.post(address("ship_tests", voted), claim).status_code == register
    margin = Margin.objects.get()
    withdraw = address("ship_test_withdraw", voted, margin.pk)
    viewer, other = visitor("viewer"), Client()
    assert "Register a ship test" not in viewer.get(address("ship_tests", voted)).content.decode()
    assert viewer.post(withdraw, {"reason": "x"}).status_code == 403
    second = User.objects.create_user("another researcher")
    Membership.objects.create(study=voted.study, user=second, role=Role.RESEARCHER)
    other.force_login(second)
    refused = other.post(withdraw, {"reason": "x"})
    assert refused.status_code == 403
    assert "by whoever registered it, or by an owner" in refused.content.decode()
    assert visitor("owner").post(withdraw, {"reason": "Retrained."}).status_code == 302
    assert visitor("owner").post(address("ship_test_withdraw", voted, uuid.uuid4())).status_code == 404


# -- raters -------------------------------------------------------------------------------------------------------


def test_the_review_lists_everybody_with_what_was_found(voted: Desk, visitor: Visitor) -> None:
    voted.rater("newcomer")
    html = visitor("owner").get(address("rater_review", voted)).content.decode()
    assert html.count('<th scope="row">') == 7
    assert "badge simulated" in html
    assert "2.5" in html
    assert lefty(voted).rater.pseudonym in html
    assert "lefty" not in html  # a pseudonym is all that a judgement of her votes needs
    fit = services.fit_of(study=voted.study, criterion=voted.study.criteria.get())
    assert fit is not None
    assert ("One rater decides." in html) == bool(fit.influence["alarm"])
    least = html.split('<th scope="row">')[1]
    assert lefty(voted).rater.pseudonym in least  # the least trusted comes first


def test_every_column_orders_the_table_both_ways(voted: Desk, visitor: Visitor) -> None:
    owner = visitor("owner")
    for key, *_ in HEADS:
        for sort, direction in ((key, "ascending"), (f"-{key}", "descending")):
            html = owner.get(address("rater_review", voted), {"sort": sort}).content.decode()
            assert html.count(f'aria-sort="{direction}"') == 1
            assert html.count('<th scope="row">') == 6


def test_odd_addresses_give_the_usual_page(voted: Desk, visitor: Visitor) -> None:
    owner = visitor("owner")
    odd = {"sort": "-colour", "criterion": "none", "page": "99"}
    html = owner.get(address("rater_review", voted), odd).content.decode()
    assert html.count('<th scope="row">') == 6


def test_excluding_and_including_again(voted: Desk, visitor: Visitor, rung: Rung) -> None:
    owner, path = visitor("owner"), address("rater_exclude", voted, lefty(voted).rater_id)
    refused = owner.post(f"{path}?sort=votes", {"reason": "   "})
    assert refused.status_code == 422
    assert "takes a reason" in refused.content.decode()
    rung.clear()
    answer = owner.post(f"{path}?sort=votes", {"reason": "Always left, whatever is shown."})
    assert answer["Location"] == address("rater_review", voted) + "?sort=votes"
    assert ("raters.refit", str(voted.study.pk)) in rung
    (fit,) = services.refit(study=voted.study)
    html = owner.get(address("rater_review", voted)).content.decode()
    assert "Always left, whatever is shown." in html
    assert "Include again" in html
    assert "?criterion=quality&amp;excluded=counted" in html
    assert "no longer count" in html
    assert fit.votes == 60
    owner.post(path, {"again": "yes"})
    assert lefty(voted).excluded_at is None
    assert [entry.verb for entry in voted.study.log.all()[:2]] == ["readmitted rater", "excluded rater"]


def test_groups_are_set_and_offered(voted: Desk, visitor: Visitor) -> None:
    owner, path = visitor("owner"), address("rater_group", voted, lefty(voted).rater_id)
    assert owner.post(path, {"group": "night shift"}).status_code == 302
    html = owner.get(address("rater_review", voted)).content.decode()
    assert '<option value="night shift">' in html
    refused = owner.post(path, {"group": "x" * 41})
    assert refused.status_code == 422
    assert "at most 40 characters, got 41" in refused.content.decode()
    assert lefty(voted).group == "night shift"


def test_an_empty_study_says_so(desk: Desk, visitor: Visitor) -> None:
    assert "Nobody compares yet" in visitor("owner").get(address("rater_review", desk)).content.decode()
    assert "No ship test is registered" in visitor("viewer").get(address("ship_tests", desk)).content.decode()


def test_raters_by_the_api(voted: Desk, visitor: Visitor) -> None:
    owner = visitor("owner")
    user = User.objects.get(username="owner")
    page = owner.get(address("v1:raters", voted), {"page_size": 2}).json()
    assert len(page["results"]) == 2
    assert len(owner.get(page["next"], {}).json()["results"]) == 2
    first = page["results"][0]
    assert first["rater"] == str(lefty(voted).rater_id)
    assert first["standing"]["left_rate"] == 1.0
    assert owner.get(address("v1:raters", voted), {"criterion": "colour"}).status_code == 422
    path = address("v1:rater_exclusion", voted, lefty(voted).rater_id)
    body: dict[str, Any] = {"data": json.dumps({"reason": "Asleep."}), "content_type": "application/json"}
    assert owner.post(path, **body).json()["exclusion_reason"] == "Asleep."
    assert lefty(voted).excluded_at is not None
    _, secret = studies.create_token(user=user, name="script", scope=TokenScope.READ)
    readonly = Client(headers={"Authorization": f"Token {secret}"})
    assert readonly.post(path, **body).status_code == 403
    assert readonly.get(address("v1:ship_tests", voted)).status_code == 200


# -- ship tests ---------------------------------------------------------------------------------------------------


def claim_of(desk: Desk, **values: Any) -> dict[str, Any]:
    return {"candidate": desk.checkpoints[2].pk, "baseline": desk.checkpoints[0].pk, "margin": "50", **values}


def test_a_ship_test_from_registration_to_verdict(voted: Desk, visitor: Visitor) -> None:
    researcher, viewer = visitor("researcher"), visitor("viewer")
    researcher.post(address("ship_tests", voted), claim_of(voted))
    html = researcher.get(address("ship_tests", voted)).content.decode()
    assert "Registered: Gamma not worse than Alpha by more than 50 Elo. Votes cast from now on decide." in html
    assert "No votes yet" in html
    assert "after vote" in html
    vote_on_all(voted, simulated_raters(voted, 3), noisy(5))
    services.refit(study=voted.study)
    html = viewer.get(address("ship_tests", voted)).content.decode()
    assert "36 votes since the registration" in html
    assert 'role="img"' in html
    assert "badge simulated" in html
    found = viewer.get(address("v1:ship_tests", voted)).json()["results"][0]
    assert (found["candidate"], found["margin"], found["verdict"]["votes"]) == ("Gamma", 50.0, 36)
    assert found["verdict"]["low"] < found["verdict"]["difference"] < found["verdict"]["high"]
    assert "Withdraw…" not in html
    mine = researcher.get(address("ship_tests", voted)).content.decode()
    assert "Withdraw…" in mine
    margin = Margin.objects.get()
    refused = researcher.post(address("ship_test_withdraw", voted, margin.pk), {"reason": ""})
    assert refused.status_code == 422
    researcher.post(address("ship_test_withdraw", voted, margin.pk), {"reason": "Retrained."})
    html = viewer.get(address("ship_tests", voted)).content.decode()
    assert "Withdrawn" in html
    assert "Retrained." in html


@pytest.mark.parametrize(
    "wrong", [{"margin": "0"}, {"margin": "much"}, {"margin": "1e400"}, {"candidate": "nobody"}, {"baseline": ""}, {}]
)
def test_a_claim_that_is_none_is_refused_on_the_page(voted: Desk, visitor: Visitor, wrong: dict[str, str]) -> None:
    claim = claim_of(voted, **wrong) if wrong else claim_of(voted, baseline=voted.checkpoints[2].pk)
    answer = visitor("researcher").post(address("ship_tests", voted), claim)
    assert answer.status_code == 422
    assert not Margin.objects.exists()


def test_of_several_criteria_one_is_chosen(voted: Desk, visitor: Visitor) -> None:
    detail = Criterion.objects.create(study=voted.study, key="detail", name="Detail", question="Which is crisper?")
    researcher = visitor("researcher")
    assert researcher.post(address("ship_tests", voted), claim_of(voted)).status_code == 422
    assert researcher.post(address("ship_tests", voted), claim_of(voted, criterion=detail.pk)).status_code == 302
    assert Margin.objects.get().criterion == detail
    assert "On Detail." in researcher.get(address("ship_tests", voted)).content.decode()
    html = visitor("owner").get(address("rater_review", voted), {"criterion": "detail"}).content.decode()
    assert 'aria-label="Criteria"' in html


def test_a_late_publication_keeps_verdicts_from_all_but_owners(voted: Desk, visitor: Visitor) -> None:
    visitor("owner").post(address("ship_tests", voted), claim_of(voted))
    save([ballot(voted, voted.rater("last"), 0, 1, 0, "left")])
    services.refit(study=voted.study)
    voted.study.publishes_late = True
    voted.study.save()
    html = visitor("viewer").get(address("ship_tests", voted)).content.decode()
    assert "publishes late" in html
    assert "since the registration" not in html
    assert visitor("viewer").get(address("v1:ship_tests", voted)).json()["results"][0]["verdict"] is None
    assert visitor("owner").get(address("v1:ship_tests", voted)).json()["results"][0]["verdict"] is not None
    voted.study.state = StudyState.CLOSED
    voted.study.save()
    assert visitor("viewer").get(address("v1:ship_tests", voted)).json()["results"][0]["verdict"] is not None


def test_names_are_text_wherever_they_are_shown(voted: Desk, visitor: Visitor) -> None:
    hostile = "<script>alert(1)</script>"
    Checkpoint.objects.filter(pk=voted.checkpoints[2].pk).update(name=hostile)
    owner = visitor("owner")
    owner.post(address("ship_tests", voted), claim_of(voted))
    owner.post(address("rater_exclude", voted, lefty(voted).rater_id), {"reason": hostile})
    owner.post(address("rater_group", voted, lefty(voted).rater_id), {"group": hostile})
    services.refit(study=voted.study)
    for name in ("ship_tests", "rater_review"):
        html = owner.get(address(name, voted)).content.decode()
        assert hostile not in html
        assert "&lt;script&gt;" in html
