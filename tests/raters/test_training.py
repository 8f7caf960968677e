"""Practice with explanations, qualification, and what skips both."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from evalhub.problems import Conflict
from evalhub.studies.models import Study
from raters import services
from raters.models import Comparison, Control, Enrolment, EnrolmentState, GoldUse, PairCount, Vote
from raters.services import golds, training
from raters.services.training import Lesson, Result, needed_of
from tests.raters.conftest import Desk, at_once, cast, offer, owner_of
from tests.raters.gold_scenes import gold, newcomer, rule, through_lessons, wrong


@pytest.fixture
def school(desk: Desk) -> Desk:
    """Two pairs to practise on, three to qualify by, two of which have to be right."""
    for prompt in (0, 1):
        gold(desk, "training", prompt, explanation=f"Look at **corner {prompt}**.")
    for prompt in (1, 2, 3):
        gold(desk, "qualification", prompt, better=1)
    rule(desk, qualification_share=0.6)
    return desk


def test_practice_and_qualification_come_before_the_comparing(school: Desk) -> None:
    ria = services.start(enrolment=newcomer(school, "ria"))
    assert ria.state == EnrolmentState.TRAINING
    seen = []
    while (found := training.next_lesson(ria)) is not None:
        comparison, lesson = found
        assert training.next_lesson(ria) == found  # asked again, it is the same on the same sides
        better = comparison.left_id if comparison.expected == "left" else comparison.right_id
        assert comparison.gold is not None
        assert better == comparison.gold.better_id
        assert (comparison.control, comparison.reason, comparison.propensity) == ("gold", "gold", 1.0)
        cast(comparison, comparison.expected)
        assert (training.to_explain(ria) == comparison) == (lesson.use == "training")
        training.go_on(enrolment=ria, token=comparison.token)
        assert training.to_explain(ria) is None
        seen.append(lesson)
    assert seen == [
        *(Lesson(GoldUse.TRAINING, number, 2) for number in (1, 2)),
        *(Lesson(GoldUse.QUALIFICATION, number, 3) for number in (1, 2, 3)),
    ]
    settled, result = training.settle(enrolment=ria)
    assert (settled.state, result) == (EnrolmentState.QUALIFIED, Result(3, 2, 3, True))
    assert services.start(enrolment=settled).state == EnrolmentState.ACTIVE


def test_lessons_count_nowhere(school: Desk) -> None:
    """Not in rankings, draws' counts, the budget, her share of the study or her progress; and nothing undoes them."""
    Study.objects.update(votes_per_rater=1, vote_budget=2)
    ria = through_lessons(services.start(enrolment=newcomer(school, "ria")))
    ria = services.start(enrolment=ria)
    assert Vote.objects.count() == Vote.objects.filter(control=Control.GOLD).count() == 5
    assert not PairCount.objects.exists()
    assert services.answers_counted(school.study) == services.answered_by(ria.rater, school.study) == 0
    assert services.last_done(ria.rater, school.study) is None
    assert services.undo_last(rater=ria.rater, study=school.study) is None
    (fit,) = services.refit(study=school.study)
    assert fit.votes == 0
    comparison = offer(school, ria)
    assert comparison.control == Control.NONE
    cast(comparison)
    ria.refresh_from_db()
    assert ria.answers == 1
    assert services.next_comparison(study=school.study, rater=ria.rater) is None


def test_failing_twice_screens_out(school: Desk) -> None:
    ria = services.start(enrolment=newcomer(school, "ria"))
    tired = through_lessons(ria, right=3)  # both of practice and one of three
    assert tired.state == EnrolmentState.TRAINING
    assert training.result_of(tired) == Result(1, 2, 3, True)
    first = set(Comparison.objects.filter(gold__use="qualification").values_list("pk", flat=True))
    again = training.try_again(enrolment=tired)
    assert again.attempt == 2
    assert training.try_again(enrolment=tired).attempt == 2  # pressed twice
    out = through_lessons(again, right=1)
    assert (out.state, training.result_of(out)) == (EnrolmentState.SCREENED_OUT, Result(1, 2, 3, False))
    assert Comparison.objects.filter(gold__use="qualification").exclude(pk__in=first).count() == 3
    with pytest.raises(Conflict):
        services.next_comparison(study=school.study, rater=ria.rater)
    assert training.try_again(enrolment=out).attempt == 2
    assert services.start(enrolment=out).state == EnrolmentState.SCREENED_OUT


def test_the_second_attempt_may_pass(school: Desk) -> None:
    ria = through_lessons(services.start(enrolment=newcomer(school, "ria")), right=0)
    again = training.try_again(enrolment=ria)
    assert through_lessons(again).state == EnrolmentState.QUALIFIED


@pytest.mark.parametrize(("share", "of", "needed"), [(0.8, 10, 8), (0.6, 3, 2), (0.1, 30, 3), (0.0, 5, 0), (1.0, 7, 7)])
def test_how_many_right_answers_make_a_share(share: float, of: int, needed: int) -> None:
    assert needed_of(share, of) == needed


def test_a_tie_does_not_find_the_better_one_and_one_question_may_be_meant(school: Desk) -> None:
    other = school.study.criteria.create(key="detail", name="Detail", question="Which has more detail?")
    known = gold(school, "training", 3, criterion=other)
    ria = services.start(enrolment=newcomer(school, "ria"))
    comparison = golds.show_gold(known, ria.rater)
    assert comparison is not None
    answers = {"quality": wrong(comparison), "detail": comparison.expected}
    services.cast_vote(token=comparison.token, rater=ria.rater, answers=answers)
    assert training.was_right(comparison)
    second = golds.show_gold(gold(school, "training", 2), ria.rater)
    assert second is not None
    answers = {"quality": second.expected, "detail": "tie"}
    services.cast_vote(token=second.token, rater=ria.rater, answers=answers)
    assert not training.was_right(second)


def test_who_is_comparing_already_goes_on(desk: Desk) -> None:
    ria = desk.rater("ria")
    gold(desk, "training", 0)
    assert services.start(enrolment=ria).state == EnrolmentState.ACTIVE
    offer(desk, ria)


def test_a_threshold_without_pairs_and_pairs_without_a_threshold_ask_for_nothing(desk: Desk) -> None:
    rule(desk, qualification_share=0.8)
    assert services.start(enrolment=newcomer(desk, "ria")).state == EnrolmentState.ACTIVE
    rule(desk, qualification_share=None)
    gold(desk, "qualification", 0)
    assert services.start(enrolment=newcomer(desk, "otto")).state == EnrolmentState.ACTIVE


def test_simulated_raters_skip_both(school: Desk) -> None:
    simulated = services.enrol_simulated(study=school.study)
    assert simulated.state == EnrolmentState.ACTIVE
    assert services.next_comparison(study=school.study, rater=simulated.rater) is not None


def test_pairs_retired_meanwhile_hold_nobody_up(school: Desk) -> None:
    ria = services.start(enrolment=newcomer(school, "ria"))
    found = training.next_lesson(ria)
    assert found is not None
    for one in school.study.golds.all():
        golds.retire_gold(gold=one, actor=owner_of(school))
    assert training.next_lesson(ria) is None
    settled, result = training.settle(enrolment=ria)
    assert (settled.state, result) == (EnrolmentState.QUALIFIED, None)
    ria = services.start(enrolment=settled)
    assert offer(school, ria).gold is None  # what was left unanswered of practice is not offered now


def test_what_cannot_be_shown_yet_waits(school: Desk) -> None:
    ria = services.start(enrolment=newcomer(school, "ria"))
    school.study.copies.update(policy="old-1")
    assert training.next_lesson(ria) is None
    assert training.outstanding(ria) == 5


def test_two_tabs_get_the_same_pair(transactional_db: None, bare_desk: Callable[..., Desk]) -> None:
    desk = bare_desk()
    for name in ("Alpha", "Beta", "Gamma"):
        desk.contestant(name)
    services.prepare_presentation(study=desk.study)
    gold(desk, "training", 0)
    ria = services.start(enrolment=newcomer(desk, "ria"))

    def token() -> str:
        following = training.next_lesson(Enrolment.objects.get(pk=ria.pk))
        assert following is not None
        return following[0].token

    assert len(set(at_once(token, token, token))) == 1
    assert Comparison.objects.count() == 1


def test_the_database_shows_a_pair_once_per_attempt(school: Desk) -> None:
    ria = services.start(enrolment=newcomer(school, "ria"))
    found = training.next_lesson(ria)
    assert found is not None
    assert found[0].gold is not None
    with pytest.raises(IntegrityError), transaction.atomic():
        golds.show_gold(found[0].gold, ria.rater)
    assert golds.show_gold(found[0].gold, ria.rater, attempt=2) is not None
