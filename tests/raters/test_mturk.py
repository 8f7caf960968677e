"""Mechanical Turk's contract, and the desk in its frame: no cookies, a token in every address, nothing else opened."""

import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core import signing
from django.core.cache import cache
from django.test import Client
from django.urls import get_script_prefix

from evalhub.studies.models import Membership, Study, StudyState, User
from raters import framing, services
from raters.framing import framed_address
from raters.models import Comparison, Enrolment, EnrolmentState, Rater, Recruitment, Visit, VisitOutcome, Vote
from tests.raters.arrivals import SUBMIT_TO, answer, begin, from_mturk, way_in
from tests.raters.conftest import Desk, make_desk

NAMESPACE = "{http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd}"


@pytest.fixture
def way(desk: Desk) -> Recruitment:
    cache.clear()
    return way_in(desk, "mturk", completion_code="C0MPLETE")


@pytest.fixture
def strict() -> Client:
    """A browser in a frame: it keeps no cookies (nothing reads what it got), and forms are checked as in production."""
    return Client(enforce_csrf_checks=True)


def came(address: str, client: Client) -> str:
    """Follow Mechanical Turk's address; the desk's own."""
    response = client.get(address)
    assert response.status_code == 302, response.content.decode()
    assert not response.cookies
    return str(response["Location"])


def policy(response: Any) -> dict[str, str]:
    directives = response["Content-Security-Policy"].split(";")
    return {name: rest for name, _, rest in (directive.strip().partition(" ") for directive in directives)}


# -- the contract -------------------------------------------------------------------------------------------------


def test_a_preview_shows_the_consent_text_and_stores_nothing(way: Recruitment) -> None:
    query = f"assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE&hitId=3HIT&turkSubmitTo={SUBMIT_TO}"
    response = Client().get(f"/take-part/{way.token}/?{query}")
    page = response.content.decode()
    assert response.status_code == 200
    assert "I take part <strong>freely</strong>" in page
    assert "Which picture is better?" in page
    assert "Accept the HIT to begin" in page
    assert "<form" not in page
    assert not Visit.objects.exists()
    assert not Rater.objects.exists()
    assert policy(response)["frame-ancestors"] == "https://*.mturk.com"
    assert "X-Frame-Options" not in response


def test_she_comes_compares_and_submits(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way, submit_to=f"{SUBMIT_TO}/"), strict)
    visit = Visit.objects.get()
    assert (visit.participant, visit.session, visit.external_study) == ("A2WORKER", "3ASSIGNMENT", "3HIT")
    assert visit.submit_to == SUBMIT_TO, "without the stroke at the end, which Mechanical Turk writes or not"
    begin(strict, base)
    assert {response.status_code for response in answer(strict, visit, 2, base)} == {200}
    done = strict.get(base)
    assert "Finish and submit the HIT" in done.content.decode()
    assert "externalSubmit" not in done.content.decode()
    last = strict.post(f"{base}leave/")
    page = last.content.decode()
    assert last.status_code == 200
    assert f'<form method="post" action="{SUBMIT_TO}/mturk/externalSubmit"' in page
    facts = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    visit.refresh_from_db()
    assert facts == {
        "assignmentId": "3ASSIGNMENT",
        "visit": str(visit.key),
        "outcome": "completed",
        "answers": "2",
        "code": "C0MPLETE",
    }
    assert policy(last)["form-action"].split() == [
        "'self'",
        "https://www.mturk.com",
        SUBMIT_TO,
        "https://*.mturk.com",
    ]
    assert visit.outcome == VisitOutcome.COMPLETED
    # Reloading the HIT shows the same form again: a submission that got lost on its way is not lost.
    again = strict.get(from_mturk(way))
    assert f'action="{SUBMIT_TO}/mturk/externalSubmit"' in again.content.decode()


def test_nothing_is_submitted_before_the_work_is_done(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    begin(strict, base)
    answer(strict, Visit.objects.get(), 1, base)
    early = strict.post(f"{base}leave/")
    assert early.status_code == 409
    assert "You have answered 1 of 2 pairs" in early.content.decode()
    assert "externalSubmit" not in early.content.decode()
    assert f'href="{base}"' in early.content.decode(), "the way back is in the frame, too"


def test_whoever_is_screened_out_or_declines_is_asked_to_return_the_hit(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    assert "Please return the HIT" in strict.post(f"{base}leave/").content.decode()
    base = came(from_mturk(way, worker="A3", assignment="3B"), strict)
    begin(strict, base)
    Enrolment.objects.filter(visit__participant="A3").update(state=EnrolmentState.SCREENED_OUT)
    page = strict.post(f"{base}leave/").content.decode()
    assert "Please return the HIT" in page
    assert "externalSubmit" not in page


def test_the_question_is_the_xml_that_create_hit_takes(way: Recruitment) -> None:
    owner = Client()
    owner.force_login(User.objects.get(username="olga"))
    response = owner.get(f"/studies/study/recruiting/{way.pk}/question.xml")
    assert response["Content-Type"] == "application/xml"
    root = ElementTree.fromstring(response.content)
    assert root.tag == f"{NAMESPACE}ExternalQuestion"
    assert [(child.tag, child.text) for child in root] == [
        (f"{NAMESPACE}ExternalURL", f"http://testserver/take-part/{way.token}/"),
        (f"{NAMESPACE}FrameHeight", "0"),
    ]


@pytest.mark.parametrize(
    "submit_to",
    [
        "https://evil.example",
        "https://www.mturk.com.evil.example",
        "https://www.mturk.com@evil.example",
        "https://www.mturk.com:444",
        "http://www.mturk.com",
        "https://www.mturk.com/mturk/externalSubmit?x=",
        "javascript:alert(1)//https://www.mturk.com",
        "//www.mturk.com",
        "",
    ],
)
def test_a_tampered_address_of_submission_is_refused(way: Recruitment, submit_to: str) -> None:
    response = Client().get(from_mturk(way, submit_to=submit_to))
    assert response.status_code == 422
    assert "turkSubmitTo in this address is not one of Mechanical Turk" in response.content.decode()
    assert not Visit.objects.exists()


@pytest.mark.parametrize("missing", ["workerId", "hitId", "assignmentId"])
def test_a_missing_parameter_gets_one_sentence(way: Recruitment, missing: str) -> None:
    response = Client().get(re.sub(f"{missing}=[^&]*", "", from_mturk(way)))
    assert response.status_code == 422
    assert f"This address lacks {missing}, which Mechanical Turk adds" in response.content.decode()


def test_an_assignment_is_one_workers(way: Recruitment, strict: Client) -> None:
    came(from_mturk(way), strict)
    response = strict.get(from_mturk(way, worker="AEVIL"))
    assert response.status_code == 422
    assert "belongs to another person" in response.content.decode()


def test_two_hits_at_once_are_not_paid_for_the_same_answers(way: Recruitment, strict: Client) -> None:
    one = came(from_mturk(way), strict)
    two = came(from_mturk(way, hit="3HIT2", assignment="3ASSIGNMENT2"), strict)
    assert Rater.objects.count() == 1
    begin(strict, one)
    first, second = Visit.objects.order_by("pk")
    answer(strict, first, 2, one)
    assert strict.post(f"{one}leave/").status_code == 200
    assert strict.post(f"{two}leave/").status_code == 409
    assert "0 of 2 done" in strict.get(two).content.decode()
    answer(strict, second, 1, two)
    assert "1 of 2 done" in strict.get(two).content.decode()
    answer(strict, second, 1, two)
    assert strict.post(f"{two}leave/").status_code == 200
    assert Visit.objects.filter(outcome=VisitOutcome.COMPLETED).count() == 2
    assert Enrolment.objects.get().answers == 4


# -- the frame ----------------------------------------------------------------------------------------------------


def test_every_address_of_the_desk_carries_the_token(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    begin(strict, base)
    page = strict.get(base).content.decode()
    prefix = base.removesuffix("rate/study/")
    assert re.fullmatch(r"/framed/[\w:-]+/", prefix)
    found = re.findall(r'(?:href|src|action|hx-post|data-(?:rate|vote|ahead))="(/[^"]*)"', page)
    assert len(found) > 8
    assert {address for address in found if not address.startswith(("/static/", prefix))} == set()
    pictures = re.findall(rf'src="({re.escape(prefix)}shown/[\w-]+)"', page)
    assert len(pictures) == 2
    for picture in pictures:
        response = Client().get(picture)
        assert (response.status_code, response["Content-Type"]) == (200, "image/webp")
        assert Client().get(picture.removeprefix(prefix[:-1])).status_code == 404, "and none without it"


def test_framed_answers_may_be_framed_and_leak_no_address(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    for response in (strict.get(base), strict.get("/framed/nonsense/rate/study/"), strict.get(from_mturk(way))):
        assert policy(response)["frame-ancestors"] == "https://*.mturk.com"
        assert "X-Frame-Options" not in response
        assert response["Referrer-Policy"] == "strict-origin"
        assert not response.cookies
    outside = strict.get("/accounts/login/")
    assert policy(outside)["frame-ancestors"] == "'none'"
    assert outside["X-Frame-Options"] == "DENY"
    assert get_script_prefix() == "/", "and the next request is answered without the token"


def test_other_pages_stay_out_of_frames_and_forms_there_are_checked(desk: Desk) -> None:
    link = way_in(desk, "link")
    client = Client(enforce_csrf_checks=True)
    response = client.get(f"/take-part/{link.token}/")
    assert policy(response)["frame-ancestors"] == "'none'"
    assert client.post(f"/take-part/{link.token}/", {"agreed": "on", "version": "1"}).status_code == 403
    enrolment = desk.rater("ria")
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    assert client.post("/rate/study/undo/").status_code == 403


@pytest.mark.parametrize(
    "page",
    [
        "studies/study/",
        "studies/study/recruiting/",
        "studies/",
        "admin/",
        "api/v1/studies/",
        "accounts/login/",
        "accounts/password_change/",
        "rate/other/",
        "rate/studyx/",
        "rate/",
        "rate/mine/",
        "take-part/x/",
        "framed/x/rate/study/",
    ],
)
def test_a_token_opens_nothing_but_this_desk(way: Recruitment, strict: Client, page: str) -> None:
    make_desk("other")
    base = came(from_mturk(way), strict)
    prefix = base.removesuffix("rate/study/")
    for response in (strict.get(prefix + page), strict.post(prefix + page)):
        assert response.status_code == 404, response.content.decode()[:500]


def test_a_token_gives_no_other_rater_s_picture(desk: Desk, way: Recruitment, strict: Client) -> None:
    other = desk.rater("ria")
    comparison = services.next_comparison(study=desk.study, rater=other.rater)
    assert comparison is not None
    base = came(from_mturk(way), strict)
    prefix = base.removesuffix("rate/study/")
    assert strict.get(f"{prefix}shown/{comparison.left_token}").status_code == 404
    begin(strict, base)
    response = strict.post(f"{base}vote/", {"comparison": comparison.token, "answer.quality": "left", "revision": "1"})
    assert response.status_code == 404
    assert not Vote.objects.exists()


def test_forged_and_foreign_tokens_open_nothing(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    visit = Visit.objects.get()
    token = base.split("/")[2]
    key, stamp, signature = token.split(":")
    last = "A" if signature[-2] != "A" else "B"
    forged = [
        f"{key}:{stamp}:{signature[:-2]}{last}{signature[-1]}",
        f"{key}:{stamp}:",
        f"{'0' * 32}:{stamp}:{signature}",
        key,
        signing.TimestampSigner(salt="another").sign(visit.key.hex),
        signing.TimestampSigner(key="a guessed key", salt="raters.framed-desk").sign(visit.key.hex),
        signing.TimestampSigner(salt="raters.framed-desk").sign("not-a-number"),
    ]
    for one in forged:
        response = strict.get(f"/framed/{one}/rate/study/")
        assert response.status_code == 403
        assert "reload the HIT" in response.content.decode()
    assert strict.get(f"/framed/{token}/rate/study/").status_code == 200


def test_a_token_expires(way: Recruitment, strict: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    base = came(from_mturk(way), strict)
    monkeypatch.setattr(framing, "LIFETIME", timedelta(seconds=-1))
    assert strict.get(base).status_code == 403


def test_a_token_ends_with_the_visit(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    begin(strict, base)
    visit = Visit.objects.get()
    answer(strict, visit, 2, base)
    picture = Comparison.objects.latest("pk").left_token
    prefix = base.removesuffix("rate/study/")
    assert strict.get(f"{prefix}shown/{picture}").status_code == 200
    strict.post(f"{base}leave/")
    for address in (base, f"{base}vote/", f"{base}leave/", f"{prefix}shown/{picture}"):
        assert strict.post(address).status_code == 403
        assert strict.get(address).status_code == 403
    assert Enrolment.objects.get().answers == 2


def test_a_token_is_no_more_than_the_rater_s_own_rights(way: Recruitment, strict: Client) -> None:
    base = came(from_mturk(way), strict)
    Membership.objects.filter(user__username__startswith="rater-").delete()
    assert strict.get(base).status_code == 404
    User.objects.filter(username__startswith="rater-").delete()
    assert strict.get(base).status_code == 403


def test_a_token_is_for_frames_of_mechanical_turk_only(desk: Desk, strict: Client) -> None:
    link = way_in(desk, "link")
    Client().post(f"/take-part/{link.token}/", {"agreed": "on", "version": "1"})
    assert strict.get(framed_address(Visit.objects.get())).status_code == 403


def test_cookies_are_not_listened_to_in_a_frame(way: Recruitment) -> None:
    owner = Client()
    owner.force_login(User.objects.get(username="olga"))
    base = came(from_mturk(way), Client())
    page = owner.get(base, headers={"Authorization": "Token evh_x"})
    assert page.status_code == 200
    assert "olga" not in page.content.decode()
    assert owner.get("/framed/x/studies/study/").status_code == 403
    begin(owner, base)
    nameless = Enrolment.objects.get().rater.user
    assert nameless is not None
    assert nameless.username.startswith("rater-")
    assert owner.get("/studies/study/recruiting/").status_code == 200, "and are still there outside it"


def test_the_entrance_of_a_closed_study_says_so_in_the_frame(way: Recruitment, strict: Client) -> None:
    Study.objects.update(state=StudyState.PAUSED)
    response = strict.get(from_mturk(way))
    assert response.status_code == 409
    assert policy(response)["frame-ancestors"] == "https://*.mturk.com"
