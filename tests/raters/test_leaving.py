"""Taking consent back, coming back, and being erased."""

import pytest
from django.contrib.sessions.models import Session
from django.db import IntegrityError, connection, transaction
from django.test import Client

from evalhub.problems import Conflict
from evalhub.studies.models import ApiToken, LogEntry, Membership, Role, Study, User
from evalhub.studies.services import create_token
from raters import services
from raters.models import Comparison, EnrolmentState, Fit, Remark, Skip, Standing, Vote
from raters.services import leaving
from tests.raters.ballots import load, noisy, people, vote_on_all
from tests.raters.conftest import Desk, cast, offer, owner_of


@pytest.fixture
def voted(desk: Desk, rung: list[object]) -> Desk:
    """Three people, on every pair."""
    load(desk)
    vote_on_all(desk, people(desk, 3), noisy(3))
    return desk


def official(desk: Desk) -> Fit:
    (fit,) = services.refit(study=desk.study)
    return fit


def test_withdrawn_answers_are_left_out_of_every_ranking_from_the_next_on(voted: Desk, rung: list[object]) -> None:
    ria = voted.study.enrolments.get(rater__user__username="person0")
    before = official(voted)
    assert before.votes == 36
    gone = leaving.withdraw_consent(enrolment=ria)
    assert gone.state == EnrolmentState.WITHDRAWN
    assert gone.withdrawn_at is not None
    assert ("raters.refit", str(voted.study.pk)) in rung
    after = official(voted)
    assert (after.votes, after.raters) == (24, 2)
    assert services.answers_counted(voted.study) == 24
    assert not Standing.objects.filter(enrolment=ria).exists()
    counted = services.ask_for_fit(study=voted.study, criterion=None, slice={"excluded": "counted"})
    services.fit_slice(fit=counted)
    counted.refresh_from_db()
    assert counted.votes == 24  # a slice that counts the excluded does not count her
    assert services.reproduce(fit=before).differences == ()  # what was frozen with her stays as it was
    assert Vote.objects.count() == 36
    when = gone.withdrawn_at
    assert leaving.withdraw_consent(enrolment=ria).withdrawn_at == when  # a second call changes nothing
    assert LogEntry.objects.filter(verb="withdrew consent").count() == 1


def test_the_log_does_not_say_who_she_is(voted: Desk) -> None:
    ria = voted.study.enrolments.get(rater__user__username="person0")
    leaving.withdraw_consent(enrolment=ria)
    leaving.erase(rater=ria.rater)
    said = LogEntry.objects.filter(verb__in=("withdrew consent", "erased rater"))
    assert [(entry.actor, entry.subject, entry.details) for entry in said] == [(None, str(ria.rater), {})] * 2
    assert not LogEntry.objects.filter(subject__contains="person0").exists()


def test_she_comes_back_only_by_consenting_again(desk: Desk, rung: list[object]) -> None:
    ria = desk.rater("ria")
    answered, open_one = cast(offer(desk, ria)), offer(desk, ria)
    leaving.withdraw_consent(enrolment=ria)
    for deed in (
        lambda: services.next_comparison(study=desk.study, rater=ria.rater),
        lambda: services.start(enrolment=ria),
        lambda: services.undo_last(rater=ria.rater, study=desk.study),
    ):
        with pytest.raises(Conflict):
            deed()
    client = Client()
    client.force_login(User.objects.get(username="ria"))
    for token in (answered.left_token, open_one.left_token):
        assert client.get(f"/shown/{token}").status_code == 404
    response = client.post("/rate/study/vote/", {"comparison": open_one.token, "answer.quality": "left"})
    assert response.status_code == 404
    page = client.get("/rate/study/")
    assert "You took back your consent on" in page.text
    assert "I take part <strong>freely</strong>" in page.text
    client.post("/rate/study/consent/", {"agreed": "on", "version": desk.study.consent_version})
    client.post("/rate/study/begin/")
    ria.refresh_from_db()
    assert (ria.state, ria.withdrawn_at) == (EnrolmentState.ACTIVE, None)
    assert offer(desk, ria) == open_one  # as she left it
    assert official(desk).votes == 1
    assert list(desk.study.log.filter(verb__contains="consent").values_list("verb", flat=True)) == [
        "consented again",
        "withdrew consent",
    ]


def test_a_study_without_a_consent_text_can_be_left_too(desk: Desk, rung: list[object]) -> None:
    Study.objects.update(consent="")
    desk.study.refresh_from_db()
    ria = desk.rater("ria")
    leaving.withdraw_consent(enrolment=ria)
    client = Client()
    client.force_login(User.objects.get(username="ria"))
    assert "stored under a number" in client.get("/rate/study/").text


def test_erasing_cuts_her_from_all_that_she_did(desk: Desk, rung: list[object]) -> None:
    Study.objects.update(asks_comment=True)
    ria, otto = desk.rater("ria"), desk.rater("otto")
    user = User.objects.get(username="ria")
    user.email = "ria@example.org"
    user.save()
    LogEntry.write(study=desk.study, actor=user, verb="added member", subject=user)
    create_token(user=user, name="mine")
    for one in (ria, otto):
        cast(offer(desk, one), comment="I know the woman in this picture.")
        services.skip(token=offer(desk, one).token, rater=one.rater, reason="other", comment="My name is Ria.")
    browser, others = Client(), Client()
    browser.force_login(user)
    others.force_login(User.objects.get(username="otto"))
    votes = list(Vote.objects.values_list("pk", "choice", "rater"))
    assert leaving.erase(rater=ria.rater)
    ria.rater.refresh_from_db()
    assert ria.rater.user is None
    assert not User.objects.filter(username="ria").exists()
    assert not ApiToken.objects.exists()
    assert not Membership.objects.filter(user_id=user.pk).exists()
    keys = {session.get_decoded().get("_auth_user_id") for session in Session.objects.all()}
    assert keys == {str(otto.rater.user_id)}
    assert browser.get("/rate/study/").status_code == 302  # to the sign-in
    assert others.get("/rate/study/").status_code == 200
    mine, theirs = (Remark.objects.get(comparison__rater=one.rater).comment for one in (ria, otto))
    assert (mine, theirs) == ("", "I know the woman in this picture.")
    assert Skip.objects.get(comparison__rater=ria.rater).comment == ""
    assert list(Vote.objects.values_list("pk", "choice", "rater")) == votes
    entry = LogEntry.objects.get(verb="added member")
    assert (entry.actor, entry.subject) == (None, leaving.NOBODY)
    with connection.cursor() as cursor:  # and nothing else in the database knows her
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('text', 'character varying', 'jsonb')"
        )
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ~* %s', [r"\mria\M"])
            allowed = 2 if table in {"raters_skip"} else 0  # otto's comment speaks of a Ria, too
            assert cursor.fetchone()[0] <= allowed, (table, column)
    assert leaving.erase(rater=ria.rater)  # again: nothing happens
    assert LogEntry.objects.filter(verb="erased rater").count() == 1


def test_votes_cannot_be_erased_even_so(desk: Desk, rung: list[object]) -> None:
    ria = desk.rater("ria")
    cast(offer(desk, ria))
    leaving.erase(rater=ria.rater)
    for deed in (Vote.objects.all().delete, lambda: Vote.objects.update(choice="tie"), lambda: ria.rater.delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            deed()
    (fit,) = services.refit(study=desk.study)
    assert fit.votes == 1


def test_an_account_that_does_more_is_kept_for_that(desk: Desk, rung: list[object]) -> None:
    ria = desk.rater("ria")
    user = User.objects.get(username="ria")
    other = Study.objects.create(slug="other", name="Other")
    Membership.objects.create(study=other, user=user, role=Role.RESEARCHER)
    assert leaving.account_stays(user)
    assert not leaving.erase(rater=ria.rater)
    user.refresh_from_db()
    assert list(user.memberships.values_list("role", flat=True)) == ["researcher"]
    ria.rater.refresh_from_db()
    assert ria.rater.user is None
    LogEntry.objects.create(verb="x", subject="y", actor=owner_of(desk))
    assert not Comparison.objects.filter(rater__user=user).exists()
