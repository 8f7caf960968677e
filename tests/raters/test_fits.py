"""Rankings frozen from votes: what they count, and when they are made."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from redis.exceptions import ConnectionError as RedisAway

from evalhub.studies.models import LogEntry, User
from raters import locks, services, tasks
from raters.models import Comparison, Enrolment, Fit, FitState, Rating, Vote
from raters.ranking import RankingError
from raters.services import computing, fitting
from tests.raters.conftest import Desk, at_once, cast, offer

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
    monkeypatch.setattr(computing, "rank", fails)
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

    before_her = offer(desk, ria)

    def slow_vote() -> None:
        with transaction.atomic():
            cast(before_her)
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
    cache.clear()
    fitting._rung.clear()  # the few seconds are over
    cast(offer(desk, enrolment))
    assert len(rung) == 2


def test_after_a_slow_fit_the_next_one_leaves_the_worker_a_rest(
    desk: Desk, rung: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.conf.settings.REFIT_DELAY_SECONDS", 1)
    enrolment = desk.rater("ria")
    cast(offer(desk, enrolment))
    tasks.refit(str(desk.study.pk))
    cache.set(f"refit:{desk.study.pk}:seconds", 8.0)  # as if that one had taken so long
    cache.delete(f"refit:{desk.study.pk}")
    fitting._rung.clear()
    rung.clear()
    cast(offer(desk, enrolment))
    time.sleep(1.2)
    cast(offer(desk, enrolment))
    assert rung == [("raters.refit", str(desk.study.pk))]
    assert services.studies_to_refit() == []  # the sweep waits as well
    cache.clear()
    assert services.studies_to_refit() == [desk.study]


def test_only_the_newest_fit_keeps_the_chances_of_pairs(desk: Desk) -> None:
    vote_by_preference(desk, 1)
    first = services.refit(study=desk.study)[0]
    assert first.pairing
    second = services.refit(study=desk.study)[0]
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.pairing == {}
    assert second.pairing["checkpoints"] == first.head_to_head["checkpoints"]


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
