"""Open links: anybody becomes a rater, is known again, and cannot be impersonated."""

import re
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from evalhub.studies.models import Membership, Role, Study, StudyState, User
from raters.models import Enrolment, EnrolmentState, Rater, Visit, VisitOutcome
from raters.platforms.arrivals import Arrival
from raters.services.recruiting import close_recruitment
from raters.services.resume_codes import resume_code
from raters.services.visiting import arrive, forget_visits
from raters.views.visits import VisitThrottle
from tests.raters.arrivals import answer, way_in
from tests.raters.conftest import Desk, at_once, owner_of

pytestmark = pytest.mark.usefixtures("no_attempts_counted")


@pytest.fixture
def no_attempts_counted() -> None:
    cache.clear()


def joined(address: str) -> Client:
    client = Client()
    response = client.post(address, {"agreed": "on", "version": "1"})
    assert response.status_code == 302, response.content.decode()
    assert response["Location"] == "/rate/study/"
    return client


def test_somebody_reads_agrees_and_compares_without_an_account(desk: Desk) -> None:
    link = way_in(desk, "link", "forum", comparisons=2)
    address = f"/take-part/{link.token}/"
    client = Client()
    page = client.get(address)
    assert page.status_code == 200
    assert "I take part <strong>freely</strong>" in page.content.decode()
    assert not Rater.objects.exists(), "looking at a link makes nobody a rater"
    assert client.post(address, {"version": "1"}).status_code == 422, "she has not agreed"
    assert not Visit.objects.exists()

    client = joined(address)
    visit = Visit.objects.get()
    enrolment = visit.enrolment
    assert (enrolment.group, enrolment.state, enrolment.consent_version) == ("forum", EnrolmentState.CONSENTED, 1)
    user = enrolment.rater.user
    assert user is not None
    assert not user.has_usable_password()
    assert client.post("/rate/study/begin/").status_code == 302
    first = client.get("/rate/study/").content.decode()
    assert 'data-comparison="' in first
    assert "0 of 2 done" in first
    assert [response.status_code for response in answer(client, visit, 2)] == [200, 200]
    done = client.get("/rate/study/").content.decode()
    assert 'action="/rate/study/leave/"' in done
    assert resume_code(visit) in done
    assert "Your part is done" in client.post("/rate/study/leave/").content.decode()
    visit.refresh_from_db()
    assert visit.outcome == VisitOutcome.COMPLETED


def test_the_same_browser_is_the_same_rater_and_another_is_not(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    client = joined(address)
    again = client.get(address)
    assert (again.status_code, again["Location"]) == (302, "/rate/study/")
    client.post(address, {"agreed": "on", "version": "1"})
    assert Rater.objects.count() == 1
    joined(address)
    assert Rater.objects.count() == 2
    assert client.session.get_expiry_age() > 80 * 24 * 3600


@pytest.mark.django_db(transaction=True)
def test_two_windows_at_once_make_one_rater(bare_desk: Callable[..., Desk]) -> None:
    cache.clear()
    link = way_in(bare_desk(), "prolific")
    arrival = Arrival(participant="one", session="two", study="three")

    def come() -> Visit:
        return arrive(recruitment=link, arrival=arrival)

    visits = at_once(come, come, come)
    assert {visit.pk for visit in visits if isinstance(visit, Visit)} == {Visit.objects.get().pk}
    assert Rater.objects.count() == Enrolment.objects.count() == 1


def test_a_noted_code_takes_her_to_another_browser(desk: Desk) -> None:
    link = way_in(desk, "link")
    address = f"/take-part/{link.token}/"
    joined(address)
    visit = Visit.objects.get()
    other = Client()
    code = resume_code(visit)
    assert re.fullmatch(r"(\w{4}-){4}\w{4}", code)
    response = other.post(address, {"code": f"  {code.lower().replace('-', ' ')} "})
    assert (response.status_code, response["Location"]) == (302, "/rate/study/")
    assert other.session["_auth_user_id"] == str(visit.enrolment.rater.user_id)
    assert Rater.objects.count() == 1


def test_a_code_cannot_be_made_from_what_owners_see(desk: Desk) -> None:
    link = way_in(desk, "link")
    elsewhere = way_in(desk, "link", "other")
    joined(f"/take-part/{link.token}/")
    visit = Visit.objects.get()
    code = resume_code(visit)
    for wrong in (
        visit.participant,
        visit.participant + "A" * 12,
        code[:-1] + ("2" if code[-1] != "2" else "3"),
        "",
        "é\0",
    ):
        response = Client().post(f"/take-part/{link.token}/", {"code": wrong})
        assert response.status_code == 422
        assert "Nobody came by this link with that code" in response.content.decode()
    assert Client().post(f"/take-part/{elsewhere.token}/", {"code": code}).status_code == 422


def test_codes_cannot_be_tried_out(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    statuses = [Client().post(address, {"code": "AAAA"}).status_code for _ in range(25)]
    assert statuses[:20] == [422] * 20
    assert set(statuses[20:]) == {429}


def test_a_hammered_link_makes_no_more_raters(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert VisitThrottle().rate == "60/min"
    monkeypatch.setattr(VisitThrottle, "rate", "5/min", raising=False)
    address = f"/take-part/{way_in(desk, 'link').token}/"
    answers = [Client().post(address, {"agreed": "on", "version": "1"}) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [302] * 5 + [429] * 3
    assert "Too many people came from your network at once; wait" in answers[-1].content.decode()
    assert Rater.objects.count() == User.objects.filter(username__startswith="rater-").count() == 5


def test_a_closed_link_lets_nobody_new_in_and_sends_nobody_away(desk: Desk) -> None:
    link = way_in(desk, "link")
    address = f"/take-part/{link.token}/"
    client = joined(address)
    close_recruitment(recruitment=link, actor=User.objects.get(username="olga"))
    close_recruitment(recruitment=link, actor=User.objects.get(username="olga"))
    assert "takes nobody new" in Client().get(address).content.decode()
    assert Client().post(address, {"agreed": "on", "version": "1"}).status_code == 409
    assert client.get(address)["Location"] == "/rate/study/"
    assert Client().post(address, {"code": resume_code(Visit.objects.get())}).status_code == 302
    assert list(desk.study.log.filter(verb="closed recruitment").values_list("subject", flat=True)) == ["autumn"]


def test_no_one_begins_while_the_study_takes_no_votes(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    Study.objects.update(state=StudyState.PAUSED)
    assert Client().post(address, {"agreed": "on", "version": "1"}).status_code == 409
    assert not Rater.objects.exists()


def test_an_old_consent_text_is_not_agreed_to(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    Study.objects.update(consent_version=2)
    response = Client().post(address, {"agreed": "on", "version": "1"})
    assert response.status_code == 409
    assert not Rater.objects.exists(), "nothing is left of an attempt that failed"


def test_whoever_sees_results_is_told_why_she_may_not(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    owner = Client()
    owner.force_login(User.objects.get(username="olga"))
    response = owner.get(address)
    assert response.status_code == 422
    assert "You are signed in as olga" in response.content.decode()
    assert owner.post(address, {"agreed": "on", "version": "1"}).status_code == 422


def test_a_person_with_an_account_keeps_it(desk: Desk) -> None:
    address = f"/take-part/{way_in(desk, 'link').token}/"
    user = User.objects.create_user("nadia", password="a-long-password")
    client = Client()
    client.force_login(user)
    assert client.post(address, {"agreed": "on", "version": "1"}).status_code == 302
    assert Membership.objects.get(user=user).role == Role.RATER
    assert Enrolment.objects.get().rater.user == user
    assert not client.session.get_expire_at_browser_close()


def test_an_unknown_link_says_so(desk: Desk) -> None:
    response = Client().get("/take-part/nothing-of-the-kind/")
    assert response.status_code == 404
    assert "This link leads nowhere" in response.content.decode()


def test_the_completion_code_is_shown_to_whoever_earned_it_only(desk: Desk) -> None:
    link = way_in(desk, "link", completion_code="CREDIT-77")
    client = joined(f"/take-part/{link.token}/")
    visit = Visit.objects.get()
    client.post("/rate/study/begin/")
    for page in (client.get("/rate/study/"), client.post("/rate/study/leave/"), *answer(client, visit, 2)):
        assert "CREDIT-77" not in page.content.decode()
    assert "CREDIT-77" not in client.get("/rate/study/").content.decode()
    assert "CREDIT-77" in client.post("/rate/study/leave/").content.decode()


def test_a_paid_answer_is_not_taken_back(desk: Desk) -> None:
    client = joined(f"/take-part/{way_in(desk, 'link', completion_code='CREDIT').token}/")
    visit = Visit.objects.get()
    client.post("/rate/study/begin/")
    answer(client, visit, 2)
    client.post("/rate/study/leave/")
    for address in ("undo", "vote", "skip", "consent", "begin", "ahead"):
        assert client.post(f"/rate/study/{address}/", {"comparison": "x"}).status_code == 409
    enrolment = Enrolment.objects.get()
    assert enrolment.answers == 2


def test_an_erased_rater_leaves_no_number_behind(desk: Desk) -> None:
    link = way_in(desk, "link")
    client = joined(f"/take-part/{link.token}/")
    visit = Visit.objects.get()
    code, participant = resume_code(visit), visit.participant
    forget_visits(rater=visit.enrolment.rater)
    visit.refresh_from_db()
    assert participant not in visit.participant
    assert (visit.session, visit.external_study, visit.submit_to) == ("", "", "")
    assert Client().post(f"/take-part/{link.token}/", {"code": code}).status_code == 422
    assert client.get("/rate/study/").status_code == 200


def test_the_owner_of_another_study_sees_nothing(desk: Desk) -> None:
    link = way_in(desk, "link")
    stranger = Client()
    stranger.force_login(User.objects.create_user("eve"))
    assert stranger.get(f"/studies/study/recruiting/{link.pk}/").status_code == 404
    assert owner_of(desk, "otto").memberships.get().role == Role.OWNER
