"""The owner's side of recruiting: pages, CSV and API; who may, and what is refused."""

import csv
import io
import json
import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Membership, Role, Study, StudyState, User
from evalhub.studies.services import create_token
from raters.models import Recruitment, Visit, VisitOutcome
from raters.platforms import prolific
from raters.services.recruiting import change_recruitment, open_recruitment
from tests.raters.arrivals import PID, SESSION, answer, begin, from_prolific, way_in
from tests.raters.conftest import Desk, make_desk, owner_of

DOCS = Path(__file__).parents[2] / "docs" / "recruiting.md"
HOSTILE = "<script>alert(1)</script>"
PAGES = ("", "{}/", "{}/visits.csv", "{}/question.xml")


@pytest.fixture
def olga(owner: Client) -> Client:
    cache.clear()
    return owner


def made(client: Client, **given: object) -> Recruitment:
    values = {"platform": "prolific", "name": "autumn", "comparisons": "2", **given}
    response = client.post("/studies/study/recruiting/", values)
    assert response.status_code == 302, response.content.decode()
    return Recruitment.objects.get(name=values["name"])


def test_an_empty_page_says_what_to_do(olga: Client) -> None:
    page = olga.get("/studies/study/recruiting/").content.decode()
    assert "Nobody is recruited yet" in page
    assert "<table" not in page


def test_an_owner_makes_a_way_in_and_gets_the_address_for_prolific(olga: Client, desk: Desk) -> None:
    way = made(olga, screened_out_code="SCR33N")
    page = olga.get(f"/studies/study/recruiting/{way.pk}/").content.decode()
    address = re.search(r'<code id="address">([^<]*)</code>', page)
    assert address is not None
    assert address[1].replace("&amp;", "&") == (
        f"http://testserver/take-part/{way.token}/"
        "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    assert way.completion_code in page
    assert "SCR33N" in page
    assert page.count('data-copy="') == 3
    assert "Nobody came yet" in page
    assert desk.study.log.values_list("verb", flat=True)[0] == "opened recruitment"
    assert "autumn" in olga.get("/studies/study/recruiting/").content.decode()


def test_visits_are_listed_with_outcome_and_duration_and_as_csv(olga: Client, desk: Desk) -> None:
    way = made(olga)
    rater = Client()
    rater.get(from_prolific(way))
    begin(rater)
    answer(rater, Visit.objects.get(), 2)
    rater.post("/rate/study/leave/")
    Visit.objects.update(started_at=timezone.now() - timedelta(minutes=30), ended_at=timezone.now())
    page = olga.get(f"/studies/study/recruiting/{way.pk}/").content.decode()
    assert PID in page
    assert "30.0" in page
    assert "Completed" in page
    response = olga.get(f"/studies/study/recruiting/{way.pk}/visits.csv")
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    visit = Visit.objects.get()
    assert len(rows) == 1
    assert rows[0]["participant"] == PID
    assert rows[0]["session"] == SESSION
    assert rows[0]["visit"] == str(visit.key)
    assert (rows[0]["answers"], rows[0]["outcome"], rows[0]["minutes"]) == ("2", "completed", "30.0")


def test_codes_are_changed_and_who_has_left_keeps_hers(olga: Client) -> None:
    way = made(olga)
    response = olga.post(
        f"/studies/study/recruiting/{way.pk}/", {"comparisons": "", "completion_code": "FROM-PROLIFIC"}
    )
    assert response.status_code == 302
    way.refresh_from_db()
    assert (way.comparisons, way.completion_code) == (None, "FROM-PROLIFIC")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"completion_code": "a b"}, "A code is up to 64 letters"),
        ({"completion_code": "=1+1"}, "A code is up to 64 letters"),
        ({"completion_code": "SAME", "no_consent_code": "SAME"}, "Each outcome needs a code of its own"),
        ({"name": " "}, "see what is said beside the fields"),
        ({"name": "x" * 41}, "see what is said beside the fields"),
        ({"platform": "elsewhere"}, "see what is said beside the fields"),
        ({"comparisons": "0"}, "see what is said beside the fields"),
        ({"comparisons": "-1"}, "see what is said beside the fields"),
        ({"comparisons": "9999999999"}, "see what is said beside the fields"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(olga: Client, given: dict[str, str], says: str) -> None:
    values = {"platform": "prolific", "name": "autumn", **given}
    response = olga.post("/studies/study/recruiting/", values)
    assert response.status_code == 422
    assert says in response.content.decode()
    assert not Recruitment.objects.exists()


def test_a_name_is_used_once(olga: Client) -> None:
    made(olga)
    response = olga.post("/studies/study/recruiting/", {"platform": "link", "name": " autumn "})
    assert response.status_code == 409
    assert "has a way in called “autumn” already" in response.content.decode()


def test_services_refuse_what_no_form_would_send(desk: Desk) -> None:
    actor = owner_of(desk)
    for platform, name in (("x", "a"), ("link", "")):
        with pytest.raises(Refusal):
            open_recruitment(study=desk.study, actor=actor, platform=platform, name=name)
    with pytest.raises(Refusal):
        open_recruitment(study=desk.study, actor=actor, platform="link", name="a", comparisons=0)
    way = way_in(desk, "prolific")
    with pytest.raises(Refusal, match="Prolific needs a completion code"):
        change_recruitment(recruitment=way, actor=actor, comparisons=None)
    with pytest.raises(Conflict):
        way_in(desk, "prolific")


def test_hostile_names_are_only_text(olga: Client) -> None:
    way = made(olga, name=HOSTILE)
    for address in ("/studies/study/recruiting/", f"/studies/study/recruiting/{way.pk}/"):
        page = olga.get(address).content.decode()
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize("role", [Role.RESEARCHER, Role.VIEWER, Role.RATER, ""])
def test_only_owners_see_any_of_it(olga: Client, desk: Desk, role: str) -> None:
    way = made(olga, platform="mturk")
    other = User.objects.create_user("other")
    if role:
        Membership.objects.create(study=desk.study, user=other, role=role)
    client = Client()
    client.force_login(other)
    expected = 403 if role else 404
    for page in PAGES:
        assert client.get("/studies/study/recruiting/" + page.format(way.pk)).status_code == expected
    assert client.post(f"/studies/study/recruiting/{way.pk}/close/").status_code == expected
    for address in ("", f"{way.pk}/visits/"):
        assert client.get(f"/api/v1/studies/study/recruitments/{address}").status_code == expected
    assert Recruitment.objects.get().closed_at is None


def test_a_way_in_of_another_study_is_not_found(olga: Client, desk: Desk) -> None:
    other = Study.objects.create(slug="other", name="Other", state=StudyState.OPEN)
    way = open_recruitment(study=other, platform="mturk", name="theirs", actor=User.objects.get(username="olga"))
    for page in PAGES[1:]:
        assert olga.get("/studies/study/recruiting/" + page.format(way.pk)).status_code == 404
    assert olga.post(f"/studies/study/recruiting/{way.pk}/close/").status_code == 404


def test_the_question_is_of_mechanical_turk_only(olga: Client) -> None:
    way = made(olga)
    assert olga.get(f"/studies/study/recruiting/{way.pk}/question.xml").status_code == 404


def test_programs_make_read_and_close_ways_in(olga: Client, desk: Desk) -> None:
    _, secret = create_token(user=User.objects.get(username="olga"), name="script")
    signed = {"Authorization": f"Token {secret}"}
    root = "/api/v1/studies/study/recruitments/"
    client = Client(headers=signed)
    response = client.post(root, {"platform": "prolific", "name": "api", "comparisons": 5}, "application/json")
    assert response.status_code == 201, response.content
    created = response.json()
    assert created["address"].endswith("&SESSION_ID={{%SESSION_ID%}}")
    assert len(created["completion_code"]) == 10
    assert (created["came"], created["comparisons"]) == (0, 5)
    Client().get(from_prolific(Recruitment.objects.get()))
    (listed,) = client.get(root).json()["results"]
    assert (listed["came"], listed["under_way"]) == (1, 1)
    (visit,) = client.get(f"{root}{created['id']}/visits/").json()["results"]
    assert (visit["participant"], visit["outcome"], visit["answers"]) == (PID, VisitOutcome.OPEN, 0)
    assert client.post(f"{root}{created['id']}/closure/").json()["closed_at"] is not None
    refused = client.post(root, {"platform": "prolific", "name": "api"}, "application/json")
    assert (refused.status_code, refused["Content-Type"]) == (409, "application/problem+json")
    for odd in ({}, {"platform": "x", "name": "y"}, {"platform": "link", "name": "y", "comparisons": "many"}):
        assert client.post(root, odd, "application/json").status_code in {400, 422}


@pytest.mark.django_db(transaction=True)
def test_the_commands_of_the_documentation_run_as_printed(live_server: LiveServer) -> None:
    owner = owner_of(make_desk())
    _, secret = create_token(user=owner, name="script")
    (block,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    given = {"EVALHUB_TOKEN": secret, "EVALHUB_URL": live_server.url, "STUDY": "study"}
    done = subprocess.run(["sh", "-eu", "-c", block], env={**os.environ, **given}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    made, listed = (json.loads(line) for line in done.stdout.decode().replace("}{", "}\n{").splitlines())
    assert [made["id"]] == [each["id"] for each in listed["results"]]
    assert (made["name"], made["comparisons"]) == ("autumn", 50)


def test_the_documentation_says_what_prolific_is_given_and_told() -> None:
    page = DOCS.read_text().replace("\n", " ")
    assert prolific.study_address("") in page
    assert prolific.way_back("CODE") in page
