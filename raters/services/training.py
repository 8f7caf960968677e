"""Before the comparing: pairs with an explanation after each answer, then pairs that qualify."""

import math
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Study
from raters.models import (
    Comparison,
    ComparisonQuerySet,
    Enrolment,
    EnrolmentState,
    Gold,
    GoldQuerySet,
    GoldUse,
    PresentationCopy,
)
from raters.services.enrolling import lock
from raters.services.golds import answered_golds, show_gold
from raters.services.impressions import new_token
from raters.services.rules import rules_of

ATTEMPTS = 2  # a bad minute is nobody's end; a third would let in who guesses


@dataclass(frozen=True)
class Lesson:
    """Where she stands in practice or qualification: the pair now before her is `number` of `of`."""

    use: GoldUse
    number: int
    of: int


@dataclass(frozen=True)
class Result:
    """How a qualification ended, and whether another attempt is left."""

    right: int
    needed: int
    of: int
    may_try_again: bool

    @property
    def passed(self) -> bool:
        return self.right >= self.needed


def uses_asked(study: Study) -> list[GoldUse]:
    """What comes before the comparing: practice where there are pairs for it, qualification where there is a threshold
    too."""
    there = set(study.golds.filter(retired_at=None).values_list("use", flat=True))
    asked = [GoldUse.TRAINING] if GoldUse.TRAINING in there else []
    if GoldUse.QUALIFICATION in there and rules_of(study).qualification_share is not None:
        asked.append(GoldUse.QUALIFICATION)
    return asked


@transaction.atomic
def next_lesson(enrolment: Enrolment) -> tuple[Comparison, Lesson] | None:
    """The pair of practice or qualification that she answers next; None when she has answered all.

    What was shown and not answered comes again, on the same sides.
    """
    enrolment = lock(enrolment.rater, enrolment.study)
    for use in uses_asked(enrolment.study):
        golds = list(_golds(enrolment.study, use))
        shown = {one.gold_id: one for one in _shown(enrolment, use)}
        done = sum(1 for gold in golds if gold.pk in shown and _is_done(shown[gold.pk]))
        for gold in golds:
            comparison = shown.get(gold.pk)
            if comparison is not None and _is_done(comparison):
                continue
            comparison = (
                _renewed(comparison) if comparison else show_gold(gold, enrolment.rater, attempt=_at(enrolment, use))
            )
            if comparison is not None:
                return comparison, Lesson(use, done + 1, len(golds))
    return None


def outstanding(enrolment: Enrolment) -> int:
    """How many pairs of practice and qualification she has not done, those among them that cannot be shown yet."""
    found = 0
    for use in uses_asked(enrolment.study):
        done = [one.gold for one in _shown(enrolment, use) if _is_done(one) and one.gold is not None]
        found += _golds(enrolment.study, use).exclude(pk__in=[gold.pk for gold in done]).count()
    return found


def to_explain(enrolment: Enrolment) -> Comparison | None:
    """The pair of practice that she has answered and not been told about yet."""
    answered = _shown(enrolment, GoldUse.TRAINING).filter(answered_at__isnull=False, explained_at=None)
    return answered.select_related("gold", "gold__criterion", "left_copy", "right_copy", "prompt").first()


def was_right(comparison: Comparison) -> bool:
    """Whether she found the better side."""
    return answered_golds(comparison.study, *GoldUse).filter(pk=comparison.pk, missed=False).exists()


@transaction.atomic
def go_on(*, enrolment: Enrolment, token: str) -> None:
    """She has read what was said about her answer. A second call changes nothing."""
    locked = lock(enrolment.rater, enrolment.study)
    explained = _shown(locked, GoldUse.TRAINING).filter(token=token, answered_at__isnull=False, explained_at=None)
    explained.update(explained_at=timezone.now())


@transaction.atomic
def settle(*, enrolment: Enrolment) -> tuple[Enrolment, Result | None]:
    """Judge a qualification all of whose pairs are answered: she is qualified, may try again, or is screened out.

    Without a qualification, practice is enough. What there is still to answer or to read stays before her.
    Returns: her enrolment as it is now, and the result if there was a qualification.
    """
    locked = lock(enrolment.rater, enrolment.study)
    if locked.state != EnrolmentState.TRAINING:
        return locked, result_of(locked)
    if GoldUse.QUALIFICATION not in uses_asked(locked.study):
        return _moved(locked, EnrolmentState.QUALIFIED), None
    result = result_of(locked)
    if result is None or result.passed:
        return _moved(locked, EnrolmentState.QUALIFIED), result
    return (locked if result.may_try_again else _moved(locked, EnrolmentState.SCREENED_OUT)), result


def result_of(enrolment: Enrolment) -> Result | None:
    """How her newest attempt at the qualification ended; None where there was none. A pair that she skipped was not
    found."""
    share = rules_of(enrolment.study).qualification_share
    asked = (
        _shown(enrolment, GoldUse.QUALIFICATION)
        .filter(gold__retired_at=None)
        .exclude(answered_at=None, skipped_at=None)
    )
    of = asked.count()
    if share is None or not of:
        return None
    found = answered_golds(enrolment.study, GoldUse.QUALIFICATION).filter(
        rater=enrolment.rater, attempt=enrolment.attempt, missed=False
    )
    return Result(found.count(), needed_of(share, of), of, enrolment.attempt < ATTEMPTS)


def needed_of(share: float, of: int) -> int:
    """How many right answers make the share: 80 % of ten are eight, though 0.8 × 10 may come out a little more."""
    return math.ceil(share * of - 1e-9)


@transaction.atomic
def try_again(*, enrolment: Enrolment) -> Enrolment:
    """Begin a failed qualification anew, on newly tossed sides; nothing happens where there is none to repeat."""
    locked = lock(enrolment.rater, enrolment.study)
    result = result_of(locked)
    failed = result is not None and not result.passed and result.may_try_again
    if locked.state == EnrolmentState.TRAINING and failed and next_lesson(locked) is None:
        locked.attempt += 1
        locked.save(update_fields=["attempt"])
    return locked


def _at(enrolment: Enrolment, use: GoldUse) -> int:
    return enrolment.attempt if use == GoldUse.QUALIFICATION else 1


def _is_done(comparison: Comparison) -> bool:
    return comparison.answered_at is not None or comparison.skipped_at is not None


def _shown(enrolment: Enrolment, use: GoldUse) -> ComparisonQuerySet:
    return Comparison.objects.filter(
        study=enrolment.study, rater=enrolment.rater, gold__use=use, attempt=_at(enrolment, use)
    ).select_related("gold", "left_copy", "right_copy", "prompt")


def _golds(study: Study, use: GoldUse) -> GoldQuerySet:
    """Those in use whose outputs could be encoded; one that never will be must not hold everybody up."""
    broken = PresentationCopy.objects.filter(study=study).exclude(problem="").values("media")
    golds = Gold.objects.in_use(use).filter(study=study).select_related("study", "better", "worse")
    return golds.exclude(Q(better__media__in=broken) | Q(worse__media__in=broken))


def _renewed(comparison: Comparison) -> Comparison:
    now = timezone.now()
    if comparison.expires_at <= now + Comparison.LIFETIME / 2:
        if comparison.expires_at <= now:
            comparison.left_token, comparison.right_token = new_token(), new_token()
        comparison.expires_at = now + Comparison.LIFETIME
        comparison.save(update_fields=["left_token", "right_token", "expires_at"])
    return comparison


def _moved(enrolment: Enrolment, state: EnrolmentState) -> Enrolment:
    enrolment.state = state
    enrolment.save(update_fields=["state"])
    return enrolment
