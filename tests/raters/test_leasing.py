"""Pairs that a browser holds ahead: offered again if never shown, and never more than the study still takes."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from evalhub.problems import NotNeeded
from evalhub.studies.models import StudyState
from raters import services
from raters.models import Comparison, Enrolment, Vote
from raters.services import offering
from tests.raters.conftest import Desk, at_once, cast, copies_of


def lease(desk: Desk, enrolment: Enrolment, *held: Comparison, count: int = 8) -> list[Comparison]:
    tokens = {one.token for one in held}
    leased = services.comparisons_ahead(study=desk.study, rater=enrolment.rater, held=tokens, count=count)
    return [one for one, _ in leased]


def test_several_are_leased_and_offered_again_until_they_are_answered(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    leased = lease(desk, enrolment, count=3)
    assert len({one.pk for one in leased}) == 3
    assert services.answered_by(enrolment.rater, desk.study) == 0
    assert lease(desk, enrolment, count=3) == leased  # a browser that lost them gets the same again
    others = lease(desk, enrolment, *leased, count=2)  # a second window gets others
    assert not {one.pk for one in leased} & {one.pk for one in others}
    cast(leased[1])  # in any order
    assert lease(desk, enrolment, *others, count=2) == [leased[0], leased[2]]
    assert services.next_comparison(study=desk.study, rater=enrolment.rater) == leased[0]
    assert Comparison.objects.count() == 5


def test_how_many_she_will_have_answered_before_each(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first, *_ = lease(desk, enrolment, count=1)
    cast(first)
    leased = services.comparisons_ahead(study=desk.study, rater=enrolment.rater, held=(), count=3)
    assert [before for _, before in leased] == [1, 2, 3]
    held = {leased[0][0].token, leased[1][0].token}
    assert next(one[1] for one in services.comparisons_ahead(study=desk.study, rater=enrolment.rater, held=held)) == 3


@pytest.mark.parametrize("limit", ["votes_per_rater", "votes_per_rater_per_day", "vote_budget"])
def test_no_more_than_the_study_still_takes_from_her(desk: Desk, limit: str) -> None:
    setattr(desk.study, limit, 3)
    desk.study.save()
    enrolment = desk.rater("ria")
    cast(lease(desk, enrolment)[0])
    leased = lease(desk, enrolment)
    assert len(leased) == 2
    assert lease(desk, enrolment, *leased) == []  # nor in a second window
    assert lease(desk, enrolment, leased[0]) == leased[1:]
    for one in leased:
        cast(one)
    desk.study.refresh_from_db()
    assert services.answered_by(enrolment.rater, desk.study) == 3
    if limit == "vote_budget":
        assert desk.study.state == StudyState.CLOSED
    else:
        assert lease(desk, enrolment) == []


@pytest.mark.django_db(transaction=True)
def test_windows_that_ask_at_once_stay_within_her_share(desk: Desk) -> None:
    desk.study.votes_per_rater = 5
    desk.study.save()
    enrolment = desk.rater("ria")
    at_once(*[lambda: lease(desk, enrolment, count=4)] * 4)
    assert Comparison.objects.count() <= 5


def test_nobody_hoards(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many windows she says she has open."""
    monkeypatch.setattr(offering, "MOST_LEASED", 4)
    enrolment = desk.rater("ria")
    held: list[Comparison] = []
    for _ in range(5):
        held += lease(desk, enrolment, *held, count=3)
    assert Comparison.objects.count() == len(held) == 4


def test_heavy_pairs_are_fewer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    enrolment = desk.rater("ria")
    weight = copies_of(lease(desk, enrolment, count=1)[0])[0].size
    monkeypatch.setattr(offering, "AHEAD_BYTES", weight * 5)
    assert len(lease(desk, enrolment)) == 2
    monkeypatch.setattr(offering, "AHEAD_BYTES", 1)
    assert len(lease(desk, enrolment)) == 2  # what is drawn stays hers
    assert len(lease(desk, desk.rater("otto"))) == 1


def test_pairs_of_one_withdrawn_meanwhile_are_not_offered_again(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    leased = lease(desk, enrolment, count=6)
    gone = next(each for each in desk.checkpoints if each.pk not in contestants(leased[-1]))
    gone.withdrawn_at, gone.withdrawal_reason = timezone.now(), "A mistake in training."
    gone.save()
    left = lease(desk, enrolment, count=1)
    assert left == [one for one in leased if gone.pk not in contestants(one)][:1]


def contestants(comparison: Comparison) -> set[UUID]:
    return {comparison.left_checkpoint_id, comparison.right_checkpoint_id}


def test_an_undo_names_the_answer_it_takes_back(desk: Desk) -> None:
    """Sent late, once more, or while another window has answered: that answer is withdrawn, once, and no other."""
    enrolment = desk.rater("ria")
    first, second = lease(desk, enrolment, count=2)
    cast(first)
    cast(second)

    def undo(comparison: Comparison, revision: int) -> Comparison | None:
        return services.undo_last(rater=enrolment.rater, study=desk.study, last=comparison.token, revision=revision)

    assert undo(first, 2) == first
    assert undo(first, 2) is None
    cast(first, "right", revision=3)
    assert undo(first, 2) is None
    assert undo(first, 3) is None
    assert [vote.choice for vote in Vote.objects.filter(comparison=first).latest_revisions()] == ["right"]
    assert services.answered_by(enrolment.rater, desk.study) == 2


def test_when_a_pair_was_shown_stays_possible(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    leased, other = lease(desk, enrolment, count=2)
    drawn = timezone.now() - timedelta(minutes=10)
    Comparison.objects.update(created_at=drawn)
    services.mark_shown(rater=enrolment.rater, token=leased.token, ago=timedelta(minutes=2))
    leased.refresh_from_db()
    assert leased.shown_at is not None
    assert timedelta(minutes=8) <= leased.shown_at - drawn < timedelta(minutes=9)
    services.mark_shown(rater=desk.rater("otto").rater, token=other.token)
    services.mark_shown(rater=enrolment.rater, token=other.token + "\0")
    other.refresh_from_db()
    assert other.shown_at is None
    cast(other, milliseconds=60_000, waited_milliseconds=3_600_000)
    other.refresh_from_db()
    assert other.shown_at == drawn


def test_what_is_not_needed_any_more_is_told_from_what_may_be(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first, second = lease(desk, enrolment, count=2)
    desk.study.votes_per_rater = 1
    desk.study.save()
    cast(first)
    with pytest.raises(NotNeeded):
        cast(second)
