"""Votes: stored once, never changed, undone by adding; and the rankings frozen from them."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from redis.exceptions import ConnectionError as RedisAway

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, LogEntry, StudyState, User
from raters import locks, services, tasks
from raters.models import Choice, Comparison, Enrolment, Fit, FitState, Rating, Vote
from raters.ranking import RankingError
from raters.services import fitting
from tests.raters.conftest import Desk, at_once


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Which tasks were asked for, instead of asking a worker."""
    asked: list[tuple[Any, ...]] = []

    def note(name: str, *arguments: Any, countdown: float | None = None) -> None:
        asked.append((name, *arguments))

    monkeypatch.setattr("raters.services.fitting.enqueue", note)
    monkeypatch.setattr("raters.services.enrolling.enqueue", note)
    monkeypatch.setattr("raters.tasks.enqueue", note)
    cache.clear()
    return asked


def offer(desk: Desk, enrolment: Enrolment) -> Comparison:
    comparison = services.next_comparison(study=desk.study, rater=enrolment.rater)
    assert comparison is not None
    return comparison


def cast(comparison: Comparison, choice: str = "left", **more: Any) -> Comparison:
    revision = more.pop("revision", services.next_revision(comparison))
    return services.cast_vote(
        token=comparison.token, rater=comparison.rater, answers={"quality": choice}, revision=revision, **more
    )


def choices(comparison: Comparison) -> list[str]:
    return list(comparison.votes.order_by("revision").values_list("choice", flat=True))


# -- casting ------------------------------------------------------------------------------------------------------


def test_a_vote_carries_all_that_a_ranking_needs(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
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
    services.mark_shown(comparison=comparison)
    comparison.refresh_from_db()
    first = comparison.shown_at
    assert first is not None
    services.mark_shown(comparison=comparison)
    cast(comparison, milliseconds=60_000)
    comparison.refresh_from_db()
    assert comparison.shown_at == first


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
    assert {fit.criterion.key for fit in services.refit(study=desk.study)} == {"quality", "match"}


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


# -- fits ---------------------------------------------------------------------------------------------------------


def vote_by_preference(desk: Desk, raters: int) -> None:
    """Raters who like later contestants better, with a mistake now and then."""
    for number in range(raters):
        enrolment = desk.rater(f"fan{number}")
        place = {checkpoint.pk: at for at, checkpoint in enumerate(desk.checkpoints)}
        count = 0
        while (comparison := services.next_comparison(study=desk.study, rater=enrolment.rater)) is not None:
            better = place[comparison.left_checkpoint_id] > place[comparison.right_checkpoint_id]
            count += 1
            outcome = {4: "tie", 8: "both_bad"}.get(count, "left" if better != (count == 6) else "right")
            cast(comparison, outcome)


def test_a_fit_ranks_the_study(desk: Desk) -> None:
    vote_by_preference(desk, 5)
    (fit,) = services.refit(study=desk.study)
    assert (fit.state, fit.votes, fit.raters, fit.simulated_votes) == (FitState.DONE, 60, 5, 0)
    assert fit.cut_off == Vote.objects.order_by("-pk").values_list("pk", flat=True)[0]
    rows = list(fit.ratings.select_related("checkpoint"))
    assert [row.checkpoint.name for row in rows] == ["Gamma", "Beta", "Alpha"]
    for row in rows:
        assert row.low is not None
        assert row.high is not None
        assert row.rating is not None
        assert row.low < row.rating < row.high
        assert row.comparisons == 40 == row.wins + row.losses + row.ties + row.both_bad
    assert sum(row.wins for row in rows) == sum(row.losses for row in rows) == 50
    assert sum(row.ties for row in rows) == sum(row.both_bad for row in rows) == 10
    assert fit.pairing["checkpoints"] == [str(checkpoint.pk) for checkpoint in desk.checkpoints]
    probabilities = fit.pairing["probabilities"]
    assert sum(probabilities[a][b] for a, b in ((0, 1), (0, 2), (1, 2))) == pytest.approx(1)
    assert {"value", "se"} == fit.position.keys()


def test_a_contestant_without_votes_has_a_row_and_no_rating(desk: Desk) -> None:
    vote_by_preference(desk, 3)
    desk.contestant("Newcomer")
    (fit,) = services.refit(study=desk.study)
    row = fit.ratings.get(checkpoint__name="Newcomer")
    assert (row.rating, row.comparisons) == (None, 0)
    assert any("Newcomer" in warning for warning in fit.warnings)


def test_a_fit_counts_latest_revisions_no_controls_and_nobody_excluded(desk: Desk, rung: list[tuple[Any, ...]]) -> None:
    ria, otto, eve = (desk.rater(name) for name in ("ria", "otto", "eve"))
    cast(offer(desk, ria), "left")
    undone = offer(desk, ria)
    cast(undone, "right")
    services.undo_last(rater=ria.rater, study=desk.study)
    control = offer(desk, otto)
    Comparison.objects.filter(pk=control.pk).update(control="repeat")
    cast(control)
    cast(offer(desk, otto), "tie")
    cast(offer(desk, eve), "both_bad")
    owner = User.objects.create_user("owner")
    services.set_exclusion(enrolment=eve, reason="Answers faster than anybody can look.", actor=owner)
    assert ("raters.refit", str(desk.study.pk)) in rung
    (fit,) = services.refit(study=desk.study)
    assert (fit.votes, fit.raters) == (2, 2)
    totals = Rating.objects.filter(fit=fit)
    assert sum(row.wins for row in totals) == 1
    assert sum(row.ties for row in totals) == 2
    assert sum(row.both_bad for row in totals) == 0
    services.set_exclusion(enrolment=eve, reason="", actor=owner)
    (again,) = services.refit(study=desk.study)
    assert again.votes == 3
    assert list(LogEntry.objects.values_list("verb", flat=True)) == ["readmitted rater", "excluded rater"]


def test_a_fit_can_be_read_again_after_a_later_undo(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    cast(offer(desk, enrolment))
    (fit,) = services.refit(study=desk.study)
    services.undo_last(rater=enrolment.rater, study=desk.study)
    assert Vote.objects.all().latest_revisions(up_to=fit.cut_off).count() == fit.votes == 1
    (later,) = services.refit(study=desk.study)
    assert later.votes == 0


def test_simulated_votes_are_counted_as_such(desk: Desk) -> None:
    enrolment = services.enrol_simulated(study=desk.study)
    cast(offer(desk, enrolment))
    cast(offer(desk, desk.rater("ria")))
    assert list(Vote.objects.order_by("pk").values_list("simulated", flat=True)) == [True, False]
    (fit,) = services.refit(study=desk.study)
    assert (fit.votes, fit.simulated_votes) == (2, 1)


def test_no_votes_no_fit(desk: Desk) -> None:
    assert services.refit(study=desk.study) == []
    assert not Fit.objects.exists()


def test_votes_that_cannot_be_ranked_leave_a_reason(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RankingError("These votes are odd.")

    cast(offer(desk, desk.rater("ria")))
    monkeypatch.setattr(fitting, "rank", fails)
    with caplog.at_level(logging.ERROR):
        (fit,) = services.refit(study=desk.study)
    assert (fit.state, fit.error) == (FitState.FAILED, "These votes are odd.")
    assert "These votes are odd." in caplog.text
    monkeypatch.setattr("django.conf.settings.REFIT_DELAY_SECONDS", 0)
    assert services.studies_to_refit() == []  # not again until there are other votes


@pytest.mark.django_db(transaction=True)
def test_no_vote_slips_in_under_a_cut_off(desk: Desk) -> None:
    """A vote whose id is given out, but which is not committed, holds the fit back; and the fit holds back the next."""
    ria, otto, eve = (desk.rater(name) for name in ("ria", "otto", "eve"))
    inserted, go = threading.Event(), threading.Event()
    order: list[str] = []

    def slow_vote() -> None:
        with transaction.atomic():
            cast(offer(desk, ria))
            inserted.set()
            assert go.wait(10)
            order.append("slow vote commits")

    def quick_vote() -> None:
        assert inserted.wait(10)
        cast(offer(desk, otto))  # a higher id, committed first
        order.append("quick vote committed")
        threading.Timer(0.5, go.set).start()

    def fit() -> list[Fit]:
        assert inserted.wait(10)
        while "quick vote committed" not in order:
            time.sleep(0.01)
        fits = services.refit(study=desk.study)
        order.append("fit done")
        return fits

    results = at_once(slow_vote, quick_vote, fit)
    assert order == ["quick vote committed", "slow vote commits", "fit done"]
    frozen = Fit.objects.get()
    assert results[2] == [frozen]
    assert frozen.votes == 2
    assert frozen.cut_off == max(Vote.objects.values_list("pk", flat=True))
    cast(offer(desk, eve))
    assert Vote.objects.filter(pk__gt=frozen.cut_off).count() == 1


@pytest.mark.django_db(transaction=True)
def test_every_vote_is_in_some_fit_while_many_vote_and_fit(desk: Desk) -> None:
    """What a fit counted never changes: counted again later, up to its cut-off, the votes are as many."""
    people = [desk.rater(f"rater{number}") for number in range(4)]

    def vote_all(enrolment: Enrolment) -> None:
        while (comparison := services.next_comparison(study=desk.study, rater=enrolment.rater)) is not None:
            cast(comparison)

    def fit_often() -> None:
        for _ in range(8):
            services.refit(study=desk.study)
            time.sleep(0.05)

    at_once(*[lambda one=one: vote_all(one) for one in people], fit_often)
    services.refit(study=desk.study)
    assert Vote.objects.count() == 48
    for fit in Fit.objects.all():
        assert Vote.objects.filter(pk__lte=fit.cut_off).count() == fit.votes
    assert Fit.objects.latest("created_at").votes == 48


@pytest.mark.django_db(transaction=True)
def test_of_two_fits_at_once_one_is_made(desk: Desk) -> None:
    cast(offer(desk, desk.rater("ria")))
    with locks.only_one(desk.study, "fit") as alone:
        assert alone
        assert at_once(lambda: services.refit(study=desk.study)) == [[]]
    assert len(services.refit(study=desk.study)) == 1


# -- when fits are made -------------------------------------------------------------------------------------------


def test_a_burst_of_votes_asks_for_one_fit(desk: Desk, rung: list[tuple[Any, ...]]) -> None:
    enrolment = desk.rater("ria")
    for _ in range(5):
        cast(offer(desk, enrolment))
    assert rung == [("raters.refit", str(desk.study.pk))]
    cache.clear()  # the few seconds are over, or Redis was flushed
    cast(offer(desk, enrolment))
    assert len(rung) == 2


def test_without_redis_votes_are_taken_and_the_sweep_starts_the_fit(
    desk: Desk, rung: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> bool:
        raise RedisAway("Connection refused")

    monkeypatch.setattr(cache, "add", away)
    cast(offer(desk, desk.rater("ria")))
    assert Vote.objects.count() == 1
    tasks.sweep()
    assert rung == []  # the vote is younger than the delay
    monkeypatch.setattr("django.conf.settings.REFIT_DELAY_SECONDS", 0)
    tasks.sweep()
    assert rung == [("raters.refit", str(desk.study.pk))]
    tasks.refit(str(desk.study.pk))
    rung.clear()
    tasks.sweep()
    assert rung == []


def test_the_sweep_has_missing_copies_made(bare_desk: Callable[..., Desk], rung: list[tuple[Any, ...]]) -> None:
    desk = bare_desk()
    desk.contestant("Alpha")
    tasks.sweep()
    assert rung == [("raters.prepare_presentation", str(desk.study.pk))]
    tasks.prepare_presentation(str(desk.study.pk))
    rung.clear()
    tasks.sweep()
    assert rung == []
