"""Prolific's contract: three numbers come in the address, and a code goes back in one."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client

from evalhub.studies.models import Study, StudyState, User
from raters.models import Enrolment, EnrolmentState, Rater, Recruitment, Visit, VisitOutcome
from raters.platforms import prolific
from raters.views.visits import VisitThrottle
from tests.raters.arrivals import PID, PROLIFIC_STUDY, SESSION, answer, begin, from_prolific, way_in
from tests.raters.conftest import Desk

OTHER_SESSION = "65aa99887766554433221100"
OTHER_PID = "5f1e0c2ab9d84e0087654321"


@pytest.fixture
def way(desk: Desk) -> Recruitment:
    cache.clear()
    return way_in(desk, "prolific", completion_code="C0MPLETE", screened_out_code="SCR33N", no_consent_code="N0CONSENT")


def came(address: str, client: Client | None = None) -> Client:
    client = client or Client()
    response = client.get(address)
    assert (response.status_code, response.headers.get("Location")) == (302, "/rate/study/"), response.content.decode()
    return client


def test_the_address_for_prolific_has_its_placeholders_as_it_writes_them(way: Recruitment) -> None:
    assert prolific.study_address("https://e.org/take-part/t/") == (
        "https://e.org/take-part/t/?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )


def test_she_comes_compares_and_goes_back_with_the_code(way: Recruitment) -> None:
    client = came(from_prolific(way))
    visit = Visit.objects.get()
    assert (visit.participant, visit.session, visit.external_study) == (PID, SESSION, PROLIFIC_STUDY)
    assert visit.enrolment.group == "autumn"
    begin(client)
    answer(client, visit, 2)
    done = client.get("/rate/study/")
    assert "form-action 'self' https://app.prolific.com;" in done["Content-Security-Policy"] + ";"
    assert "Finish and return to Prolific" in done.content.decode()
    assert "C0MPLETE" not in done.content.decode()
    back = client.post("/rate/study/leave/")
    assert back.status_code == 302
    assert back["Location"] == "https://app.prolific.com/submissions/complete?cc=C0MPLETE"
    visit.refresh_from_db()
    assert visit.outcome == VisitOutcome.COMPLETED
    assert visit.ended_at is not None


def test_the_code_is_not_given_before_it_is_earned(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    visit = Visit.objects.get()
    answer(client, visit, 1)
    early = client.post("/rate/study/leave/")
    assert early.status_code == 409
    assert "You have answered 1 of 2 pairs" in early.content.decode()
    for code in ("C0MPLETE", "SCR33N", "N0CONSENT"):
        assert code not in early.content.decode()
    visit.refresh_from_db()
    assert visit.outcome == VisitOutcome.OPEN


def test_a_screened_out_rater_gets_that_code(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    Enrolment.objects.update(state=EnrolmentState.SCREENED_OUT)
    assert parse_qs(urlsplit(client.post("/rate/study/leave/")["Location"]).query) == {"cc": ["SCR33N"]}
    assert Visit.objects.get().outcome == VisitOutcome.SCREENED_OUT


def test_whoever_does_not_consent_gets_that_code(way: Recruitment) -> None:
    client = came(from_prolific(way))
    page = client.get("/rate/study/").content.decode()
    assert "I do not take part; back to Prolific" in page
    assert parse_qs(urlsplit(client.post("/rate/study/leave/")["Location"]).query) == {"cc": ["N0CONSENT"]}
    assert Visit.objects.get().outcome == VisitOutcome.NO_CONSENT


def test_without_a_code_for_it_she_is_asked_to_return_her_submission(desk: Desk) -> None:
    cache.clear()
    way = way_in(desk, "prolific")
    assert len(way.completion_code) == 10, "one is made where none is given"
    client = came(from_prolific(way))
    response = client.post("/rate/study/leave/")
    assert response.status_code == 200
    assert "Please return your submission on Prolific" in response.content.decode()


def test_a_replayed_completion_says_the_same_and_changes_nothing(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    answer(client, Visit.objects.get(), 2)
    first = client.post("/rate/study/leave/")
    ended = Visit.objects.get().ended_at
    assert client.post("/rate/study/leave/")["Location"] == first["Location"]
    assert Visit.objects.get().ended_at == ended
    # By Prolific's link again, in another browser: the same person, the same session, so the same code.
    other = came(from_prolific(way))
    assert "C0MPLETE" in other.get("/rate/study/").content.decode()
    assert Rater.objects.count() == 1


def test_a_second_session_goes_on_with_what_the_first_began(way: Recruitment) -> None:
    first = came(from_prolific(way))
    begin(first)
    answer(first, Visit.objects.get(), 1)
    second = came(from_prolific(way, session=OTHER_SESSION))
    assert Rater.objects.count() == 1
    visit = Visit.objects.get(session=OTHER_SESSION)
    answer(second, visit, 1)
    assert "cc=C0MPLETE" in second.post("/rate/study/leave/")["Location"]
    assert Visit.objects.filter(outcome=VisitOutcome.COMPLETED).count() == 1


def test_a_second_session_after_completing_is_told_so(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    answer(client, Visit.objects.get(), 2)
    client.post("/rate/study/leave/")
    response = Client().get(from_prolific(way, session=OTHER_SESSION))
    assert response.status_code == 409
    assert "You have finished your part of this study in another session" in response.content.decode()
    assert "C0MPLETE" not in response.content.decode()
    assert Visit.objects.count() == 1


def test_answers_are_paid_once_though_two_studies_of_prolific_lead_here(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    came(from_prolific(way, study="64b0c1d2e3f4a5b6c7d8ffff", session=OTHER_SESSION), client)
    other = Visit.objects.get(session=OTHER_SESSION)
    answer(client, other, 2)
    came(from_prolific(way), client)
    assert client.post("/rate/study/leave/").status_code == 302
    came(from_prolific(way, study="64b0c1d2e3f4a5b6c7d8ffff", session=OTHER_SESSION), client)
    assert client.post("/rate/study/leave/").status_code == 409
    assert client.post("/rate/study/undo/", {"comparison": ""}).status_code in {200, 302}
    assert Enrolment.objects.get().answers == 2, "what the first visit was paid for cannot be taken back in the second"
    answer(client, other, 2)
    assert client.post("/rate/study/leave/").status_code == 302
    assert Rater.objects.count() == 1
    assert Enrolment.objects.get().answers == 4


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "This address lacks PROLIFIC_PID, STUDY_ID, SESSION_ID"),
        (f"PROLIFIC_PID={PID}&STUDY_ID={PROLIFIC_STUDY}", "This address lacks SESSION_ID"),
        (
            "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}",
            "PROLIFIC_PID in this address is not one number as Prolific writes it",
        ),
        (f"PROLIFIC_PID={PID}&PROLIFIC_PID=x&STUDY_ID=a&SESSION_ID=b", "PROLIFIC_PID in this address is not one"),
        (f"PROLIFIC_PID=<script>&STUDY_ID={PID}&SESSION_ID={PID}", "PROLIFIC_PID in this address is not one"),
        (f"PROLIFIC_PID={PID}&STUDY_ID={'a' * 129}&SESSION_ID=b", "STUDY_ID in this address is not one"),
        (f"PROLIFIC_PID={PID}&STUDY_ID=a&SESSION_ID=%00", "SESSION_ID in this address is not one"),
        (f"PROLIFIC_PID==1%2B1&STUDY_ID=a&SESSION_ID={PID}", "PROLIFIC_PID in this address is not one"),
    ],
)
def test_odd_addresses_get_one_sentence(way: Recruitment, query: str, says: str) -> None:
    response = Client().get(f"/take-part/{way.token}/?{query}")
    assert response.status_code == 422
    assert says in response.content.decode()
    assert "<script>" not in response.content.decode().split("</head>")[1]
    assert not Visit.objects.exists()


def test_a_session_is_one_persons(way: Recruitment) -> None:
    came(from_prolific(way))
    response = Client().get(from_prolific(way, pid=OTHER_PID))
    assert response.status_code == 422
    assert "belongs to another person" in response.content.decode()
    assert Rater.objects.count() == 1


def test_a_browser_that_another_person_used_is_hers_now(way: Recruitment) -> None:
    client = came(from_prolific(way))
    came(from_prolific(way, pid=OTHER_PID, session=OTHER_SESSION), client)
    assert Rater.objects.count() == 2
    assert client.session["_auth_user_id"] == str(Visit.objects.get(participant=OTHER_PID).enrolment.rater.user_id)


def test_an_account_is_never_signed_out_by_an_address(way: Recruitment) -> None:
    client = Client()
    client.force_login(User.objects.get(username="olga"))
    response = client.get(from_prolific(way))
    assert response.status_code == 422
    assert "open the link in a private window" in response.content.decode()
    assert client.get("/studies/study/recruiting/").status_code == 200
    assert not Visit.objects.exists()


def test_a_study_that_closes_in_mid_visit_pays_what_was_done(way: Recruitment) -> None:
    client = came(from_prolific(way))
    begin(client)
    answer(client, Visit.objects.get(), 1)
    Study.objects.update(state=StudyState.CLOSED)
    assert 'action="/rate/study/leave/"' in client.get("/rate/study/").content.decode()
    assert "cc=C0MPLETE" in client.post("/rate/study/leave/")["Location"]


def test_only_so_many_new_people_from_one_address(way: Recruitment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VisitThrottle, "rate", "5/min", raising=False)
    answers = [Client().get(from_prolific(way, pid=f"{n:024x}", session=f"{n:024x}")).status_code for n in range(7)]
    assert answers == [302] * 5 + [429] * 2
    came(from_prolific(way, pid=f"{3:024x}", session=f"{3:024x}"))  # whoever is known comes in


def test_no_page_of_hers_says_her_number(way: Recruitment) -> None:
    client = came(from_prolific(way))
    pages = [client.get("/rate/study/")]
    begin(client)
    pages += [client.get("/rate/study/"), *answer(client, Visit.objects.get(), 2), client.get("/rate/study/")]
    for page in pages:
        for number in (PID, SESSION, PROLIFIC_STUDY):
            assert number not in page.content.decode() + str(page.headers)


def test_posting_to_the_entrance_is_not_understood(way: Recruitment) -> None:
    assert Client().post(from_prolific(way)).status_code == 405
