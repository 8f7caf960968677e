"""Votes: stored once, never changed, undone by adding."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, StudyState, User
from raters import locks, services
from raters.models import Choice, Comparison, Vote
from tests.raters.conftest import Desk, at_once, cast, offer


def choices(comparison: Comparison) -> list[str]:
    return list(comparison.votes.order_by("revision").values_list("choice", flat=True))


# -- casting ------------------------------------------------------------------------------------------------------


def test_a_vote_carries_all_that_a_ranking_needs(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    Comparison.objects.update(created_at=comparison.created_at - timedelta(seconds=2))
    cast(comparison, "right", milliseconds=1234)
    vote = Vote.objects.get()
    assert (vote.choice, vote.revision, vote.milliseconds) == ("right", 1, 1234)
    assert vote.study == desk.study
    assert vote.prompt == comparison.prompt
    assert vote.rater == comparison.rater
    assert vote.left_checkpoint == comparison.left.checkpoint
    assert vote.right_checkpoint == comparison.right.checkpoint
    assert (vote.simulated, vote.control, vote.without_javascript) == (False, "", False)
    comparison.refresh_from_db()
    assert comparison.answered_at is not None
    assert comparison.shown_at == comparison.answered_at - timedelta(milliseconds=1234)


def test_the_browser_says_when_the_pair_was_shown(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    services.mark_shown(rater=comparison.rater, token=comparison.token)
    comparison.refresh_from_db()
    first = comparison.shown_at
    assert first is not None
    services.mark_shown(rater=comparison.rater, token=comparison.token)
    cast(comparison, milliseconds=60_000)
    comparison.refresh_from_db()
    assert comparison.shown_at == first


def test_an_answer_is_written_at_once_as_its_rows_are_meant(desk: Desk) -> None:
    """One statement writes it: the votes say what the comparison says, and a fit has to wait for them."""
    Criterion.objects.create(study=desk.study, key="text", name="Text", question="Which text is better?", position=1)
    desk.study.reason_tags = ["text", 'it\'s \\ "odd"']
    desk.study.save()
    enrolment = desk.rater("ria")
    leased = services.comparisons_ahead(study=desk.study, rater=enrolment.rater, held=(), count=3)
    first, second, third = (comparison for comparison, _ in leased)
    services.cast_vote(
        token=first.token,
        rater=enrolment.rater,
        answers={"quality": "left", "text": "both_bad"},
        milliseconds=900,
        reasons=desk.study.reason_tags,
        shown={
            second.token: timedelta(0),
            first.token: timedelta(days=9),
            "none\0": timedelta(0),
            "none": timedelta(0),
        },
    )
    for comparison in (first, second, third, enrolment):
        comparison.refresh_from_db()
    votes = {vote.criterion.key: vote for vote in Vote.objects.select_related("criterion")}
    assert {key: vote.choice for key, vote in votes.items()} == {"quality": "left", "text": "both_bad"}
    for vote in votes.values():
        assert (vote.revision, vote.milliseconds, vote.without_javascript) == (1, 900, False)
        assert vote.reasons == ["text", 'it\'s \\ "odd"']
        assert vote.created_at == first.answered_at
        assert (vote.simulated, vote.comparison_id) == (False, first.pk)
        for name in ("study_id", "prompt_id", "rater_id", "left_checkpoint_id", "right_checkpoint_id", "control"):
            assert getattr(vote, name) == getattr(first, name)
    assert enrolment.answers == 1
    assert first.shown_at is not None
    assert second.shown_at is not None
    assert second.shown_at >= first.shown_at
    assert third.shown_at is third.answered_at is second.answered_at is None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' "
            "AND pid = pg_backend_pid() AND ((classid::bigint << 32) | objid::bigint) = %s",
            [locks.votes_key(desk.study)],
        )
        assert cursor.fetchone() == (1,)


def test_a_retry_changes_nothing_and_answers_the_same(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    first = cast(comparison, "left", revision=1)
    assert cast(comparison, "left", revision=1) == first
    assert cast(comparison, "right", revision=1) == first
    desk.study.state = StudyState.PAUSED
    desk.study.save()
    assert cast(comparison, "left", revision=1) == first
    assert choices(comparison) == ["left"]


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({}, "Every question needs one answer: expected quality, got none."),
        ({"quality": "left", "beauty": "left"}, "expected quality, got quality, beauty"),
        ({"quality": "middle"}, "answered by one of left, tie, both_bad, right; got “middle”"),
        ({"quality": "withdrawn"}, "got “withdrawn”"),
    ],
)
def test_answers_that_do_not_fit_are_refused_in_a_sentence(desk: Desk, answers: dict[str, str], sentence: str) -> None:
    comparison = offer(desk, desk.rater("ria"))
    with pytest.raises(Refusal) as refused:
        services.cast_vote(token=comparison.token, rater=comparison.rater, answers=answers)
    assert sentence in refused.value.sentence
    assert not Vote.objects.exists()


def test_a_question_may_leave_out_ties(desk: Desk) -> None:
    desk.study.criteria.update(allows_tie=False, allows_both_bad=False)
    comparison = offer(desk, desk.rater("ria"))
    for choice in ("tie", "both_bad"):
        with pytest.raises(Refusal, match="answered by one of left, right"):
            cast(comparison, choice)
    cast(comparison, "left")


def test_several_questions_are_answered_together(desk: Desk) -> None:
    Criterion.objects.create(study=desk.study, key="match", name="Match", question="Which fits the text?", position=1)
    comparison = offer(desk, desk.rater("ria"))
    with pytest.raises(Refusal, match="expected quality, match, got quality"):
        cast(comparison)
    answers = {"quality": "left", "match": "tie"}
    services.cast_vote(token=comparison.token, rater=comparison.rater, answers=answers)
    stored = dict(Vote.objects.values_list("criterion__key", "choice"))
    assert stored == answers
    services.undo_last(rater=comparison.rater, study=desk.study)
    assert Vote.objects.filter(choice=Choice.WITHDRAWN, revision=2).count() == 2
    assert {fit.criterion and fit.criterion.key for fit in services.refit(study=desk.study)} == {"quality", "match"}


def test_a_time_that_cannot_be_is_not_kept(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    cast(comparison, milliseconds=10**9)
    assert Vote.objects.get().milliseconds is None


def test_votes_without_javascript_are_flagged_where_they_are_allowed(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    with pytest.raises(Refusal, match="with JavaScript only"):
        cast(comparison, without_javascript=True)
    desk.study.works_without_javascript = True
    desk.study.save()
    cast(comparison, without_javascript=True)
    assert Vote.objects.get().without_javascript


@pytest.mark.django_db(transaction=True)
def test_one_answer_however_often_it_is_sent_at_once(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    for choice in ("left", "right", "tie"):
        comparison = offer(desk, enrolment)
        at_once(*[lambda c=comparison, answer=choice: cast(c, answer, revision=1)] * 5)
        assert choices(comparison) == [choice]
    assert Vote.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_different_answers_at_once_the_first_stands(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    at_once(lambda: cast(comparison, "left", revision=1), lambda: cast(comparison, "right", revision=1))
    assert choices(comparison) in (["left"], ["right"])


# -- undo ---------------------------------------------------------------------------------------------------------


def test_undo_withdraws_and_opens_the_pair_again(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first = offer(desk, enrolment)
    cast(first, "left")
    second = offer(desk, enrolment)
    assert services.undo_last(rater=enrolment.rater, study=desk.study) == first
    again = offer(desk, enrolment)
    assert again == first
    assert (again.token, again.left_id) == (first.token, first.left_id)
    assert choices(first) == ["left", "withdrawn"]
    assert not Vote.objects.all().latest_revisions().exists()
    assert cast(again, "right", revision=1) == first  # an old tab: nothing happens
    cast(again, "right", revision=3)
    assert choices(first) == ["left", "withdrawn", "right"]
    assert [vote.choice for vote in Vote.objects.all().latest_revisions()] == ["right"]
    assert offer(desk, enrolment) == second


def test_undo_goes_back_step_by_step(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    done = []
    for _ in range(3):
        done.append(offer(desk, enrolment))
        cast(done[-1])
    for comparison in reversed(done):
        assert services.undo_last(rater=enrolment.rater, study=desk.study) == comparison
        assert offer(desk, enrolment) == comparison
    assert services.undo_last(rater=enrolment.rater, study=desk.study) is None
    for comparison in done:
        assert offer(desk, enrolment) == comparison
        cast(comparison, "tie")


@pytest.mark.django_db(transaction=True)
def test_an_undo_pressed_twice_undoes_one(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first, second = offer(desk, enrolment), None
    cast(first)
    second = offer(desk, enrolment)
    cast(second)
    results = at_once(*[lambda: services.undo_last(rater=enrolment.rater, study=desk.study, last=second.token)] * 3)
    assert sorted(map(str, results)) == sorted(["None", "None", str(second)])
    assert choices(first) == ["left"]
    assert choices(second) == ["left", "withdrawn"]


def test_undo_is_for_an_open_study(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    cast(comparison)
    desk.study.state = StudyState.CLOSED
    desk.study.save()
    with pytest.raises(Conflict, match="is closed and takes no votes now"):
        services.undo_last(rater=comparison.rater, study=desk.study)


# -- the database keeps them --------------------------------------------------------------------------------------


def test_the_database_changes_and_deletes_no_vote(desk: Desk) -> None:
    cast(offer(desk, desk.rater("ria")))
    for forbidden in (
        lambda: Vote.objects.update(choice="right"),
        lambda: Vote.objects.all().delete(),
        lambda: Vote.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(IntegrityError, match="only ever added"), transaction.atomic():
            forbidden()
    with pytest.raises(ProtectedError):
        desk.study.delete()
    assert Vote.objects.get().choice == "left"


def test_erasing_a_person_leaves_her_votes(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    cast(comparison)
    User.objects.get(username="ria").delete()
    vote = Vote.objects.get()
    assert vote.rater == comparison.rater
    assert vote.rater.user is None


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({}, "vote_revision_once"),
        ({"revision": 0}, "vote_revisions_start_at_one"),
        ({"revision": 2, "choice": "maybe"}, "vote_choice_known"),
    ],
)
def test_the_database_says_what_a_vote_is(desk: Desk, change: dict[str, Any], constraint: str) -> None:
    cast(offer(desk, desk.rater("ria")))
    twin = Vote.objects.get()
    twin.pk = None
    for name, value in change.items():
        setattr(twin, name, value)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        twin.save(force_insert=True)
