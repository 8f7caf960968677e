"""The rater's pages by plain HTTP: who may open them, what each state shows, what works without a script."""

import re
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from evalhub.studies.models import Criterion, Membership, Role, Study, StudyState, User
from raters import services
from raters.models import Comparison, Enrolment, EnrolmentState, Vote
from tests.raters.conftest import Desk, copies_of, make_desk

BY_SCRIPT = {"HX-Request": "true"}


def signed_in(desk: Desk, name: str = "ria", role: str = Role.RATER) -> Client:
    user = User.objects.create_user(name)
    Membership.objects.create(study=desk.study, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ria(desk: Desk) -> Client:
    """A rater who has begun."""
    client = Client()
    enrolment = desk.rater("ria")
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    return client


def page(client: Client, **headers: str) -> str:
    response = client.get("/rate/study/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def form_of(html: str) -> dict[str, str]:
    return dict(
        re.findall(r'<input type="hidden" name="(comparison|revision)" value="([^"]*)">', html.split('class="vote')[1])
    )


# -- who ----------------------------------------------------------------------------------------------------------


def test_nobody_signed_in_is_sent_to_sign_in(desk: Desk) -> None:
    response = Client().get("/rate/study/")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")
    assert Client().get("/rate/study/", headers=BY_SCRIPT).status_code == 401


@pytest.mark.parametrize("address", ["", "consent/", "begin/", "vote/", "undo/", "ahead/"])
def test_strangers_find_nothing_and_other_roles_are_told_why(desk: Desk, address: str) -> None:
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger"))
    method = "get" if address == "" else "post"
    assert getattr(stranger, method)(f"/rate/study/{address}").status_code == 404
    for role in (Role.OWNER, Role.RESEARCHER, Role.VIEWER):
        member = signed_in(desk, f"a-{role}", role)
        response = getattr(member, method)(f"/rate/study/{address}")
        assert response.status_code == 403
        assert b"Only raters compare" in response.content
    assert not Enrolment.objects.exists()


@pytest.mark.parametrize("address", ["consent/", "begin/", "vote/", "undo/", "ahead/"])
def test_what_changes_something_is_posted_with_a_token(desk: Desk, address: str) -> None:
    client = signed_in(desk)
    assert client.get(f"/rate/study/{address}").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ria"))
    assert strict.post(f"/rate/study/{address}").status_code == 403


# -- from consent to the end --------------------------------------------------------------------------------------


def test_consent_then_instructions_then_pairs(desk: Desk) -> None:
    desk.study.instructions = "# Look closely\n\nAt the *edges* above all. <script>alert(1)</script>"
    desk.study.save()
    client = signed_in(desk)
    html = page(client)
    assert "I take part <strong>freely</strong>." in html
    assert not Comparison.objects.exists()
    refused = client.post("/rate/study/consent/", {"version": "1"})
    assert refused.status_code == 422
    assert b"tick that you have read the text" in refused.content
    outdated = client.post("/rate/study/consent/", {"version": "7", "agreed": "on"})
    assert outdated.status_code == 409
    assert b"has changed" in outdated.content
    assert client.post("/rate/study/begin/").status_code == 409
    client.post("/rate/study/consent/", {"version": "1", "agreed": "on"})
    enrolment = Enrolment.objects.get()
    assert (enrolment.state, enrolment.consent_version) == (EnrolmentState.CONSENTED, 1)
    html = page(client)
    assert "<h2>Look closely</h2>" in html
    assert "<em>edges</em>" in html
    assert "<script>alert" not in html
    assert "Which picture is better?" in html
    client.post("/rate/study/begin/")
    enrolment.refresh_from_db()
    assert enrolment.state == EnrolmentState.ACTIVE
    assert 'alt="Left picture"' in page(client)


def test_a_study_without_a_consent_text_begins_with_the_instructions(desk: Desk) -> None:
    desk.study.consent = ""
    desk.study.save()
    client = signed_in(desk)
    assert "How it works" in page(client)
    client.post("/rate/study/begin/")
    assert 'class="pair"' in page(client)
    assert Enrolment.objects.get().consented_at is not None


@pytest.mark.parametrize(
    ("state", "words"), [("draft", "has not begun"), ("paused", "is paused"), ("closed", "is closed")]
)
def test_a_study_that_is_not_open_says_so(desk: Desk, ria: Client, state: str, words: str) -> None:
    form = form_of(page(ria))
    desk.study.state = state
    desk.study.save()
    assert words in page(ria)
    response = ria.post("/rate/study/vote/", {**form, "answer.quality": "left"}, headers=BY_SCRIPT)
    assert response.status_code == 409
    assert response["HX-Refresh"] == "true"
    assert not Vote.objects.exists()


def test_the_end_says_how_many_and_can_be_undone(desk: Desk, ria: Client) -> None:
    desk.study.votes_per_rater = 2
    desk.study.save()
    for number in range(2):
        html = page(ria)
        assert f"{number} of 2 done" in html
        response = ria.post("/rate/study/vote/", {**form_of(html), "answer.quality": "left"}, headers=BY_SCRIPT)
    assert response["HX-Refresh"] == "true"
    html = page(ria)
    assert "You have answered 2 pairs" in html
    last = re.search(r'name="comparison" value="([^"]+)"', html)
    assert last
    ria.post("/rate/study/undo/", {"comparison": last[1]})
    assert "1 of 2 done" in page(ria)


def test_a_rater_whose_part_is_over(desk: Desk, ria: Client) -> None:
    Enrolment.objects.update(state=EnrolmentState.SCREENED_OUT)
    assert "Your part in this study is over" in page(ria)


def test_nothing_to_compare_yet(desk: Desk) -> None:

    empty = make_desk(slug="empty")
    enrolment = empty.rater("early")
    client = Client()
    assert enrolment.rater.user is not None
    client.force_login(enrolment.rater.user)
    assert b"still on their way" in client.get("/rate/empty/").content


# -- the pair -----------------------------------------------------------------------------------------------------


def test_reloading_shows_the_same_pair_on_the_same_sides(ria: Client) -> None:
    shown = [re.findall(r"/shown/[\w-]{43}", page(ria)) for _ in range(3)]
    assert len(shown[0]) == 2
    assert shown[0] == shown[1] == shown[2]


def test_no_cache_keeps_the_page(ria: Client) -> None:
    assert "no-store" in ria.get("/rate/study/")["Cache-Control"]


def test_a_vote_by_script_answers_with_the_next_pair(ria: Client) -> None:
    form = form_of(page(ria))
    response = ria.post(
        "/rate/study/vote/", {**form, "milliseconds": "2345", "answer.quality": "right"}, headers=BY_SCRIPT
    )
    assert response.status_code == 200
    html = response.content.decode()
    assert html.lstrip().startswith('<main id="desk"')
    assert form_of(html)["comparison"] != form["comparison"]
    vote = Vote.objects.get()
    assert (vote.choice, vote.milliseconds, vote.without_javascript) == ("right", 2345, False)


def test_another_study_s_page_opens_nothing_of_one_she_was_removed_from(desk: Desk, ria: Client) -> None:
    form = form_of(page(ria))
    user = User.objects.get(username="ria")
    Membership.objects.create(study=make_desk(slug="other").study, user=user, role=Role.RATER)
    membership = Membership.objects.get(study=desk.study, user=user)
    for role in (None, Role.RESEARCHER):
        if role is None:
            membership.delete()
        else:
            Membership.objects.create(study=desk.study, user=user, role=role)
        answer = {**form, "answer.quality": "left"}
        assert ria.post("/rate/other/vote/", answer, headers=BY_SCRIPT).status_code == 404
    assert not Vote.objects.exists()


def test_an_answer_that_does_not_fit_is_said_on_the_page(ria: Client) -> None:
    form = form_of(page(ria))
    response = ria.post("/rate/study/vote/", {**form, "answer.quality": "none"}, headers=BY_SCRIPT)
    assert response.status_code == 422
    assert "answered by one of left, tie, both_bad, right" in response.content.decode()
    assert form_of(response.content.decode()) == form


def test_odd_numbers_do_no_harm(ria: Client) -> None:
    form = form_of(page(ria))
    odd = {"comparison": form["comparison"], "answer.quality": "left", "milliseconds": "-5e9", "revision": "²"}
    assert ria.post("/rate/study/vote/", odd, headers=BY_SCRIPT).status_code == 200
    assert Vote.objects.get().milliseconds is None


def test_undo_shows_the_pair_again(ria: Client) -> None:
    first = form_of(page(ria))
    html = ria.post("/rate/study/vote/", {**first, "answer.quality": "left"}, headers=BY_SCRIPT).content.decode()
    last = re.search(r'name="comparison" value="([^"]+)"', html.split('class="undo"')[1])
    assert last
    assert last[1] == first["comparison"]
    html = ria.post("/rate/study/undo/", {"comparison": last[1]}, headers=BY_SCRIPT).content.decode()
    assert form_of(html) == {"comparison": first["comparison"], "revision": "3"}


# -- without a script ---------------------------------------------------------------------------------------------


def test_where_it_is_not_allowed_the_page_says_so_and_takes_no_vote(ria: Client) -> None:
    html = page(ria)
    assert "<noscript><p" in html
    assert "rating-plain.css" not in html
    outside = re.sub(r"<noscript>.*?</noscript>", "", html, flags=re.DOTALL)
    answers = re.findall(r"<button(?! type=)[^>]*>", outside.split('<section id="skipping"')[0])
    assert len(answers) == 5
    assert all("disabled" in button for button in answers)
    response = ria.post("/rate/study/vote/", {**form_of(html), "answer.quality": "left"})
    assert response.status_code == 422
    assert "with JavaScript only" in response.content.decode()
    assert not Vote.objects.exists()


def test_where_it_is_allowed_the_plain_form_votes_and_the_vote_is_flagged(desk: Desk, ria: Client) -> None:
    desk.study.works_without_javascript = True
    desk.study.save()
    html = page(ria)
    assert "rating-plain.css" in html
    response = ria.post(
        "/rate/study/vote/", {**form_of(html), "milliseconds": "", "answer.quality": "left"}, follow=True
    )
    assert response.redirect_chain == [("/rate/study/", 302)]
    vote = Vote.objects.get()
    assert (vote.without_javascript, vote.milliseconds) == (True, None)
    assert "1 done" in response.content.decode()


def test_several_questions_have_a_row_each(desk: Desk, ria: Client) -> None:
    Criterion.objects.create(study=desk.study, key="match", name="Match", question="Which fits the text?", position=1)
    html = page(ria)
    assert html.count("<fieldset") == 2
    answers = {"answer.quality": "left", "answer.match": "both_bad"}
    ria.post("/rate/study/vote/", {**form_of(html), **answers}, headers=BY_SCRIPT)
    assert dict(Vote.objects.values_list("criterion__key", "choice")) == {"quality": "left", "match": "both_bad"}


# -- pictures -----------------------------------------------------------------------------------------------------


def test_a_picture_is_its_copy(ria: Client) -> None:
    left, right = re.findall(r"/shown/[\w-]{43}", page(ria))
    comparison = Comparison.objects.get()
    for address, copy in zip((left, right), copies_of(comparison), strict=True):
        response = ria.get(address)
        with default_storage.open(copy.path) as file:
            assert response.content == file.read()
        assert response["Content-Type"] == "image/webp"


def test_the_account_gone_or_the_role_changed(desk: Desk, ria: Client) -> None:
    left, _ = re.findall(r"/shown/[\w-]{43}", page(ria))
    assert ria.get(left).status_code == 200
    Membership.objects.update(role=Role.VIEWER)
    assert ria.get(left).status_code == 404


def test_the_study_is_closed_under_her(desk: Desk, ria: Client) -> None:
    form = form_of(page(ria))
    desk.study.state = StudyState.CLOSED
    desk.study.save()
    response = ria.post("/rate/study/ahead/", {"held": form["comparison"]})
    assert (response.status_code, response.content) == (200, b"")
    assert services.answered_by(Enrolment.objects.get().rater, desk.study) == 0


def test_the_study_is_paused_between_two_looks(desk: Desk, ria: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request began while the study was open; the page says how it is now."""
    offer = services.next_comparison

    def paused_meanwhile(**arguments: Any) -> Comparison | None:
        Study.objects.update(state=StudyState.PAUSED)
        return offer(**arguments)

    monkeypatch.setattr(services, "next_comparison", paused_meanwhile)
    assert "This study is paused" in page(ria)


# -- the administration -------------------------------------------------------------------------------------------
