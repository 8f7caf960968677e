"""How much one rater may answer: her share of a study, and of a day."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from evalhub.problems import Conflict
from raters import services
from raters.models import Comparison, Enrolment, EnrolmentState
from raters.services.limits import allowance
from tests.raters.conftest import Desk, at_once, cast, offer


def limit(desk: Desk, **limits: int | None) -> None:
    for name, number in limits.items():
        setattr(desk.study, name, number)
    desk.study.save()


def yesterday(enrolment: Enrolment) -> None:
    """Everything she has answered was answered in the last minute of yesterday."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    own = Comparison.objects.answered().filter(rater=enrolment.rater)
    own.update(answered_at=midnight - timedelta(seconds=1))


def again(enrolment: Enrolment) -> Enrolment:
    return Enrolment.objects.select_related("study", "rater").get(pk=enrolment.pk)


def test_a_days_share_ends_at_midnight(desk: Desk) -> None:
    limit(desk, votes_per_rater_per_day=3)
    ria, otto = desk.rater("ria"), desk.rater("otto")
    for _ in range(3):
        cast(offer(desk, ria))
    assert services.next_comparison(study=desk.study, rater=ria.rater) is None
    left = allowance(again(ria))
    assert (left.in_all, left.today, left.now, left.only_for_today) == (None, 0, 0, True)
    assert left.until.astimezone(UTC).time() == datetime.min.time()
    assert timedelta(0) < left.until - timezone.now() <= timedelta(days=1)
    # She is not done with the study, and nobody else is held up.
    assert again(ria).state == EnrolmentState.ACTIVE
    cast(offer(desk, otto))
    yesterday(ria)
    for _ in range(3):
        cast(offer(desk, ria))
    assert services.next_comparison(study=desk.study, rater=ria.rater) is None


def test_no_more_is_leased_than_the_day_allows(desk: Desk) -> None:
    limit(desk, votes_per_rater_per_day=2)
    ria = desk.rater("ria")
    first = offer(desk, ria)
    second = services.next_comparison(study=desk.study, rater=ria.rater, after=first)
    assert second is not None
    assert services.next_comparison(study=desk.study, rater=ria.rater, after=second) == first
    cast(first)
    assert services.next_comparison(study=desk.study, rater=ria.rater, after=second) is None
    assert Comparison.objects.count() == 2


def test_an_undo_gives_the_answer_back_and_no_more(desk: Desk) -> None:
    """Undoing yesterday's answers does not make room today: what is answered anew counts today."""
    limit(desk, votes_per_rater_per_day=2)
    ria = desk.rater("ria")
    for _ in range(2):
        cast(offer(desk, ria))
    services.undo_last(rater=ria.rater, study=desk.study)
    cast(offer(desk, ria))
    yesterday(ria)
    undone = services.undo_last(rater=ria.rater, study=desk.study)
    assert undone is not None
    leased = services.next_comparison(study=desk.study, rater=ria.rater, after=undone)
    assert leased is not None
    more = services.next_comparison(study=desk.study, rater=ria.rater, after=leased)
    assert more == undone
    cast(undone)
    cast(leased)
    again_undone = services.undo_last(rater=ria.rater, study=desk.study)
    assert again_undone == leased
    cast(leased)
    assert services.next_comparison(study=desk.study, rater=ria.rater) is None


def test_an_answer_beyond_the_day_is_refused_in_a_sentence(desk: Desk) -> None:
    """Two were leased to her, and then the day's share was made smaller."""
    limit(desk, votes_per_rater_per_day=2)
    ria = desk.rater("ria")
    first = offer(desk, ria)
    second = services.next_comparison(study=desk.study, rater=ria.rater, after=first)
    assert second is not None
    limit(desk, votes_per_rater_per_day=1)
    cast(first)
    with pytest.raises(
        Conflict, match="takes 1 answer a day from one rater, and today's is in; you can go on at 00:00 UTC"
    ):
        cast(second)
    # The answer that was stored is not asked for again, however often it is sent.
    assert cast(first, revision=1).answered_at is not None
    assert Comparison.objects.answered().count() == 1
    yesterday(ria)
    assert offer(desk, ria) == second
    cast(second)


def test_a_share_of_the_study_is_kept_at_the_vote(desk: Desk) -> None:
    limit(desk, votes_per_rater=2)
    ria = desk.rater("ria")
    first = offer(desk, ria)
    second = services.next_comparison(study=desk.study, rater=ria.rater, after=first)
    assert second is not None
    limit(desk, votes_per_rater=1)
    cast(first)
    with pytest.raises(Conflict, match="share of this study is done"):
        cast(second)
    assert allowance(again(ria)).only_for_today is False


@pytest.mark.django_db(transaction=True)
def test_two_tabs_share_the_last_answer_of_the_day(desk: Desk) -> None:
    """She holds two pairs in two tabs and may give one more answer: one is taken, the other refused."""
    ria = desk.rater("ria")
    first = offer(desk, ria)
    second = services.next_comparison(study=desk.study, rater=ria.rater, after=first)
    assert second is not None
    limit(desk, votes_per_rater_per_day=1)

    def answer(comparison: Comparison) -> str:
        try:
            cast(comparison, revision=1)
        except Conflict as refusal:
            return refusal.sentence
        return "taken"

    said = at_once(lambda: answer(first), lambda: answer(second))
    assert sorted(said, key=str)[-1] == "taken"
    assert sorted(said, key=str)[0] != "taken"
    assert Comparison.objects.answered().count() == 1
    assert Enrolment.objects.get(pk=ria.pk).answers == 1


def test_the_page_says_when_she_may_go_on(desk: Desk, client: Client) -> None:
    limit(desk, votes_per_rater_per_day=1)
    ria = desk.rater("ria")
    assert ria.rater.user is not None
    client.force_login(ria.rater.user)
    cast(offer(desk, ria))
    html = client.get("/rate/study/").text
    assert "That is all for today" in html
    assert "You have answered 1 pair, and all your answers are stored." in html
    assert "at most 1 answer a day from one rater" in html
    assert 'T00:00:00+00:00">00:00 UTC</time>' in html
    # The share of the study is the stronger reason.
    limit(desk, votes_per_rater=1)
    html = client.get("/rate/study/").text
    assert "That is all for today" not in html
    assert "there is no further one for you." in html
