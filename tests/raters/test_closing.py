"""Studies that close themselves, and what happens around that moment."""

from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from evalhub.problems import Conflict, Refusal
from evalhub.studies import services as studies
from evalhub.studies.models import ClosedBecause, LogEntry, Study, StudyState, User
from raters import services
from raters.models import Comparison, Enrolment, Fit, Vote
from raters.services.closing import orders
from tests.raters.conftest import Desk, at_once, cast, offer, owner_of


@pytest.fixture
def ada(desk: Desk) -> User:
    return owner_of(desk, "ada")


def now(desk: Desk) -> Study:
    return Study.objects.get(pk=desk.study.pk)


def budget(desk: Desk, answers: int | None) -> None:
    desk.study.vote_budget = answers
    desk.study.save()


def separations(desk: Desk, *told_apart: bool) -> list[dict[str, Any]]:
    """The desk's contestants in their order, each told from the next or not."""
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints]
    pairs = zip(ids, ids[1:], told_apart, strict=False)
    return [{"upper": upper, "lower": lower, "separated": told, "more_votes": None} for upper, lower, told in pairs]


def fitted(desk: Desk, *told_apart: bool, **more: Any) -> Fit:
    criterion = more.pop("criterion", None) or desk.study.criteria.first()
    return Fit.objects.create(study=desk.study, criterion=criterion, separations=separations(desk, *told_apart), **more)


# -- budget --------------------------------------------------------------------------------------------------------


def test_the_answer_that_spends_the_budget_closes_the_study(desk: Desk) -> None:
    budget(desk, 4)
    ria, otto = desk.rater("ria"), desk.rater("otto")
    for enrolment in (ria, otto, ria):
        cast(offer(desk, enrolment))
    leased = offer(desk, otto)
    assert now(desk).state == StudyState.OPEN
    cast(offer(desk, ria))
    study = now(desk)
    assert (study.state, study.closed_because, study.answers_at_closing) == ("closed", ClosedBecause.BUDGET, 4)
    entry = LogEntry.objects.get(study=study, verb="closed study")
    assert (entry.actor, entry.details) == (None, {"closed_because": "budget", "answers_at_closing": 4})
    # What somebody had before her is refused with the sentence of every closed study, and nothing is stored.
    with pytest.raises(Conflict, match="This study is closed and takes no votes now"):
        cast(leased)
    assert Comparison.objects.answered().count() == Vote.objects.count() == 4
    # The answer that is stored already is still acknowledged when it is sent again.
    stored = Comparison.objects.answered().filter(rater=ria.rater).first()
    assert stored is not None
    assert cast(stored, revision=1) == stored


def test_undone_excluded_and_control_answers_do_not_spend_it(desk: Desk, ada: User) -> None:
    budget(desk, 3)
    ria, otto = desk.rater("ria"), desk.rater("otto")
    cast(offer(desk, ria))
    services.set_exclusion(enrolment=otto, reason="", actor=ada)
    cast(offer(desk, otto))
    services.undo_last(rater=ria.rater, study=desk.study)
    assert services.answers_counted(desk.study) == 1
    control = offer(desk, otto)
    Comparison.objects.filter(pk=control.pk).update(control="repeat")
    control.refresh_from_db()
    cast(control)
    assert services.answers_counted(desk.study) == 1
    services.set_exclusion(enrolment=otto, reason="Answers at random.", actor=ada)
    assert services.answers_counted(desk.study) == 0
    for _ in range(2):
        cast(offer(desk, ria))
    assert now(desk).state == StudyState.OPEN
    cast(offer(desk, ria))
    assert now(desk).answers_at_closing == 3


@pytest.mark.django_db(transaction=True)
def test_a_crowd_at_the_end_of_the_budget(desk: Desk) -> None:
    """Eight answers at once where three are missing: the study closes once, and nobody gets an error."""
    people = [desk.rater(f"rater{number}") for number in range(8)]
    held = [offer(desk, one) for one in people]
    budget(desk, 3)

    def answer(comparison: Comparison) -> str:
        try:
            cast(comparison, revision=1)
        except Conflict as refusal:
            return refusal.sentence
        return "taken"

    said = at_once(*[lambda one=one: answer(one) for one in held])
    taken = said.count("taken")
    assert 3 <= taken <= 8
    assert set(said) <= {"taken", "This study is closed and takes no votes now."}
    if now(desk).state == StudyState.OPEN:  # all came so close together that none saw the others: the next fit closes
        assert services.close_if_done(study=desk.study)
    study = now(desk)
    assert (study.state, study.closed_because) == ("closed", "budget")
    assert taken == Comparison.objects.answered().count() == services.answers_counted(study)
    assert LogEntry.objects.filter(study=study, verb="closed study").count() == 1


def test_a_budget_that_is_spent_already_closes_at_once(desk: Desk, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[object, ...]] = []
    monkeypatch.setattr("evalhub.studies.services.studies.enqueue", lambda *words: rung.append(words))
    cast(offer(desk, desk.rater("ria")))
    studies.change_study(study=desk.study, actor=ada, vote_budget=1)
    assert rung == [("raters.close_if_done", str(desk.study.pk))]
    assert services.close_if_done(study=desk.study)
    assert not services.close_if_done(study=desk.study)
    assert now(desk).closed_because == "budget"


def test_only_an_open_study_closes_itself(desk: Desk, ada: User) -> None:
    cast(offer(desk, desk.rater("ria")))
    studies.pause_study(study=desk.study, actor=ada)
    budget(desk, 1)
    Study.objects.filter(pk=desk.study.pk).update(state=StudyState.PAUSED)
    assert not services.close_if_done(study=desk.study)
    assert now(desk).state == StudyState.PAUSED


# -- separation ----------------------------------------------------------------------------------------------------


def test_a_settled_order_closes_the_study_if_it_is_asked_to(desk: Desk) -> None:
    fitted(desk, True, True)
    assert not services.close_if_done(study=desk.study)
    desk.study.closes_when_separated = True
    desk.study.save()
    assert services.close_if_done(study=desk.study)
    assert now(desk).closed_because == "separation"


def test_what_leaves_an_order_unsettled(desk: Desk) -> None:
    desk.study.closes_when_separated = True
    desk.study.save()
    assert not services.close_if_done(study=desk.study)  # no fit at all
    fitted(desk, True, False)
    assert not services.close_if_done(study=desk.study)
    fitted(desk, True, True)
    fitted(desk, True, False)  # the newest counts
    assert not services.close_if_done(study=desk.study)
    fitted(desk, True, True, slice_digest="0" * 64, slice={"tag": "faces"})  # a slice is not the study's ranking
    assert not services.close_if_done(study=desk.study)
    second = desk.study.criteria.create(key="detail", name="Detail", question="Which has more?", position=1)
    fitted(desk, True, True)
    assert not services.close_if_done(study=desk.study)  # the other question has no ranking yet
    fitted(desk, True, True, criterion=second)
    desk.contestant("Newcomer")
    assert not services.close_if_done(study=desk.study)  # somebody is not placed yet
    assert [(order.separated, order.pairs, order.unplaced) for order in orders(desk.study)] == [(2, 2, 1)] * 2
    studies.withdraw_checkpoint(checkpoint=desk.checkpoints[3], actor=User.objects.create(username="x"), reason="No.")
    assert services.close_if_done(study=desk.study)


def test_one_that_is_withdrawn_keeps_nobody_waiting(desk: Desk, ada: User) -> None:
    """Alpha before Beta before Gamma; Beta is withdrawn, and too near to Gamma to tell."""
    desk.study.closes_when_separated = True
    desk.study.save()
    ids = [str(checkpoint.pk) for checkpoint in desk.checkpoints]

    def fit_with(*lows: float) -> None:
        pairs = [
            {"upper": upper, "lower": lower, "low": low, "separated": low > 0}
            for (upper, lower), low in zip(pairwise(ids), lows, strict=True)
        ]
        Fit.objects.create(study=desk.study, criterion=desk.study.criteria.get(), separations=pairs)

    fit_with(40.0, -10.0)
    assert [(order.separated, order.pairs) for order in orders(desk.study)] == [(1, 2)]
    studies.withdraw_checkpoint(checkpoint=desk.checkpoints[1], actor=ada, reason="A mistake in training.")
    assert [(order.separated, order.pairs) for order in orders(desk.study)] == [(1, 1)]
    fit_with(40.0, -50.0)
    assert not services.close_if_done(study=desk.study)
    # At an end of the order it does not matter at all.
    studies.restore_checkpoint(checkpoint=desk.checkpoints[1], actor=ada)
    studies.withdraw_checkpoint(checkpoint=desk.checkpoints[2], actor=ada, reason="A mistake in training.")
    assert services.close_if_done(study=desk.study)


# -- going on ------------------------------------------------------------------------------------------------------


def spend(desk: Desk, answers: int = 2) -> None:
    budget(desk, answers)
    ria = desk.rater("ria")
    for _ in range(answers):
        cast(offer(desk, ria))
    assert now(desk).state == StudyState.CLOSED


@pytest.mark.parametrize("larger", [3, None])
def test_a_larger_budget_opens_it_again(desk: Desk, ada: User, larger: int | None) -> None:
    spend(desk)
    with pytest.raises(Refusal, match="has its 2 answers, and its budget is 2; set a larger budget"):
        studies.publish_study(study=desk.study, actor=ada)
    studies.change_study(study=now(desk), actor=ada, vote_budget=larger)
    opened = studies.publish_study(study=desk.study, actor=ada)
    assert (opened.state, opened.closed_because, opened.answers_at_closing) == ("open", "", None)
    assert not services.close_if_done(study=desk.study)
    cast(offer(desk, Enrolment.objects.get()))
    assert now(desk).state == ("closed" if larger else "open")


def test_separation_is_unticked_first(desk: Desk, ada: User) -> None:
    desk.study.closes_when_separated = True
    desk.study.save()
    fitted(desk, True, True)
    assert services.close_if_done(study=desk.study)
    with pytest.raises(Refusal, match="untick"):
        studies.publish_study(study=desk.study, actor=ada)
    studies.change_study(study=now(desk), actor=ada, closes_when_separated=False)
    assert studies.publish_study(study=desk.study, actor=ada).state == StudyState.OPEN


def test_what_an_owner_closed_and_what_was_published_stays_closed(desk: Desk, ada: User) -> None:
    desk.study.publishes_late = True
    spend(desk)
    studies.change_study(study=now(desk), actor=ada, vote_budget=None)
    with pytest.raises(Conflict, match="published its ratings"):
        studies.publish_study(study=desk.study, actor=ada)
    Study.objects.update(state=StudyState.OPEN, closed_because="", publishes_late=False)
    closed = studies.close_study(study=desk.study, actor=ada)
    assert (closed.closed_because, closed.answers_at_closing) == ("owner", None)
    with pytest.raises(Conflict, match="closed for good"):
        studies.publish_study(study=desk.study, actor=ada)


@pytest.mark.django_db(transaction=True)
def test_opening_again_while_a_fit_wants_to_close(desk: Desk, ada: User) -> None:
    """Both at once, again and again: the study ends up open with the larger budget, or closed before that was set."""
    spend(desk)
    for round_ in range(5):
        studies.change_study(study=now(desk), actor=ada, vote_budget=3 + round_)
        at_once(
            lambda: studies.publish_study(study=desk.study, actor=ada),
            lambda: services.close_if_done(study=desk.study),
            lambda: services.close_if_done(study=desk.study),
        )
        assert now(desk).state == StudyState.OPEN
        cast(offer(desk, Enrolment.objects.get()))
        assert (now(desk).state, now(desk).answers_at_closing) == ("closed", 3 + round_)


# -- pages ---------------------------------------------------------------------------------------------------------


def test_the_owner_sees_how_far_it_is_and_why_it_closed(desk: Desk, ada: User, client: Client) -> None:
    client.force_login(ada)
    budget(desk, 2)
    fitted(desk, True, False)
    cast(offer(desk, desk.rater("otto")))
    by_script = {"HX-Request": "true"}
    progress = client.get("/studies/study/progress/", headers=by_script).text
    assert '1 of 2 <progress max="2" value="1"' in progress
    assert "1 of 2 neighbouring pairs told apart" in progress
    assert "<html" not in progress
    assert "<html" in client.get("/studies/study/progress/").text
    cast(offer(desk, desk.rater("ria")))
    html = client.get("/studies/study/settings/").text
    assert "closed itself when its budget of answers was there: 2 answers" in html
    assert "set a larger budget" in html
    response = client.post("/studies/study/state/", {"to": "open"})
    assert response.status_code == 422
    assert "set a larger budget, or none, and then open it again" in response.text


def test_progress_is_for_owners(desk: Desk, client: Client) -> None:
    address = "/studies/study/progress/"
    assert client.get(address).status_code == 302
    for role, status in (("rater", 403), ("viewer", 403), ("researcher", 403), ("", 404)):
        user = User.objects.create_user(f"a-{role or 'stranger'}")
        if role:
            desk.study.memberships.create(user=user, role=role)
        client.force_login(user)
        assert client.get(address).status_code == status
