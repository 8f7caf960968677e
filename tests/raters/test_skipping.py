"""Pairs left unanswered on purpose."""

from functools import partial

import pytest
from django.db import connection
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import StudyState, User
from raters import services
from raters.models import Comparison, Skip, Vote
from tests.raters.conftest import Desk, at_once, cast, offer


def skip(comparison: Comparison, reason: str = "cannot_tell", **more: str) -> Comparison:
    return services.skip(token=comparison.token, rater=comparison.rater, reason=reason, **more)


def test_a_skipped_pair_does_not_come_again(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    seen = set()
    while comparison := services.next_comparison(study=desk.study, rater=enrolment.rater):
        seen.add(frozenset((comparison.left_id, comparison.right_id)))
        skip(comparison)
    assert len(seen) == Comparison.objects.count() == Skip.objects.count() == 12
    enrolment.refresh_from_db()
    assert enrolment.answers == 0
    assert services.answers_counted(desk.study) == 0
    assert not Vote.objects.exists()


def test_who_has_skipped_everything_is_done(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    while comparison := services.next_comparison(study=desk.study, rater=enrolment.rater):
        skip(comparison, "upsetting")
    client = Client()
    client.force_login(User.objects.get(username="ria"))
    html = client.get(reverse("rate", args=["study"])).content.decode()
    assert "Your part in this study is over." in html
    assert "Undo my last answer" in html
    assert client.post(reverse("undo", args=["study"])).status_code == 302
    assert Skip.objects.count() == 11


def test_what_is_broken_says_which_side(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    for side in ("left", "right", ""):
        skip(offer(desk, enrolment), "broken", side=side, comment=" half of it is grey ")
    assert list(Skip.objects.order_by("pk").values_list("reason", "side", "comment")) == [
        ("broken", side, "half of it is grey") for side in ("left", "right", "")
    ]


@pytest.mark.parametrize(
    ("reason", "more", "sentence"),
    [
        ("", {}, "skipped for one of the reasons broken, cannot_tell, upsetting, other; got “”. Choose one"),
        ("bored", {}, "got “bored”"),
        ("broken", {"side": "middle"}, "the left side, the right side or both"),
        ("upsetting", {"side": "left"}, "no other reason names a side"),
        ("other", {"comment": "  "}, "takes a few words"),
        ("other", {"comment": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_a_skip_needs_a_reason(desk: Desk, reason: str, more: dict[str, str], sentence: str) -> None:
    comparison = offer(desk, desk.rater("ria"))
    with pytest.raises(Refusal) as refused:
        skip(comparison, reason, **more)
    assert sentence in refused.value.sentence
    assert not Skip.objects.exists()
    assert offer(desk, desk.study.enrolments.get()) == comparison


def test_undo_opens_a_skip_again(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    first, second = offer(desk, enrolment), None
    cast(first)
    second = offer(desk, enrolment)
    skip(second)
    third = offer(desk, enrolment)
    assert services.last_done(enrolment.rater, desk.study) == second
    assert services.undo_last(rater=enrolment.rater, study=desk.study, last=first.token) is None
    assert services.undo_last(rater=enrolment.rater, study=desk.study, last=second.token) == second
    assert not Skip.objects.exists()
    assert offer(desk, enrolment) == second
    assert services.undo_last(rater=enrolment.rater, study=desk.study, last=second.token) is None
    cast(second)
    assert offer(desk, enrolment) == third
    assert services.undo_last(rater=enrolment.rater, study=desk.study) == second
    assert services.undo_last(rater=enrolment.rater, study=desk.study) == first


def test_an_undo_by_number_opens_that_very_skip(desk: Desk) -> None:
    """As the queue in her browser sends it, which numbers answers and skips alike."""
    enrolment = desk.rater("ria")
    comparison = offer(desk, enrolment)
    skip(comparison)
    cast(offer(desk, enrolment))
    undone = services.undo_last(rater=enrolment.rater, study=desk.study, last=comparison.token, revision=2)
    assert undone == comparison
    assert offer(desk, enrolment) == comparison


def test_a_retry_changes_nothing(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    skip(comparison)
    skip(comparison, "broken", side="left")
    desk.study.state = StudyState.PAUSED
    desk.study.save()
    skip(comparison)
    assert list(Skip.objects.values_list("reason", flat=True)) == ["cannot_tell"]


def test_the_first_of_an_answer_and_a_skip_stands(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    answered, skipped = offer(desk, enrolment), None
    cast(answered)
    skip(answered)
    skipped = offer(desk, enrolment)
    skip(skipped)
    cast(skipped)
    assert [vote.comparison for vote in Vote.objects.all()] == [answered]
    assert [one.comparison for one in Skip.objects.all()] == [skipped]
    enrolment.refresh_from_db()
    assert enrolment.answers == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_and_a_skip_at_once(desk: Desk) -> None:
    enrolment = desk.rater("ria")
    for _ in range(3):
        comparison = offer(desk, enrolment)
        at_once(partial(cast, comparison, revision=1), partial(skip, comparison), partial(skip, comparison))
        comparison.refresh_from_db()
        assert (comparison.answered_at is None) != (comparison.skipped_at is None)
        assert (
            Vote.objects.filter(comparison=comparison).exists() != Skip.objects.filter(comparison=comparison).exists()
        )


def test_only_her_own_and_only_while_the_study_takes_votes(desk: Desk) -> None:
    comparison, other = offer(desk, desk.rater("ria")), desk.rater("ruth")
    with pytest.raises(Http404):
        services.skip(token=comparison.token, rater=other.rater, reason="cannot_tell")
    desk.study.state = StudyState.PAUSED
    desk.study.save()
    with pytest.raises(Conflict, match="paused"):
        skip(comparison)
    assert not Skip.objects.exists()


def test_a_skip_takes_few_queries(desk: Desk) -> None:
    comparison = offer(desk, desk.rater("ria"))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        skip(comparison)
    assert len(queries) <= 7


def test_agreeing_to_see_is_kept_once(desk: Desk) -> None:
    enrolment = services.agree_to_see(enrolment=desk.rater("ria"))
    first = enrolment.agreed_to_see_at
    assert first is not None
    assert services.agree_to_see(enrolment=enrolment).agreed_to_see_at == first
