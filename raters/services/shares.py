"""What one visit asks of a rater whom a platform sent, and how much of it she has done.

An answer counts for one visit only: completed visits of a person follow each other in time, so that nobody who opens
two assignments at once is paid twice for the same answers.
"""

from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext as _

from evalhub.problems import Conflict
from raters.models import Comparison, Enrolment, GoldUse, Visit, VisitOutcome

# Controls like all others, for her progress must not tell them apart; training and qualification not.
COUNTED = Q(gold=None) | Q(gold__use=GoldUse.CONTROL)


def begun_at(visit: Visit) -> datetime:
    """Since when answers count for it: her first coming for this study of the platform's, or her last completed one."""
    own = Visit.objects.filter(enrolment=visit.enrolment_id)
    same = own.filter(recruitment=visit.recruitment_id, external_study=visit.external_study)
    first = same.order_by("started_at").values_list("started_at", flat=True)[0]
    completed = own.filter(outcome=VisitOutcome.COMPLETED).exclude(pk=visit.pk)
    if visit.ended_at is not None:
        completed = completed.filter(ended_at__lt=visit.ended_at)
    last = completed.order_by("-ended_at").values_list("ended_at", flat=True).first()
    return max(first, last) if last else first


def answered_in(visit: Visit) -> int:
    """Comparisons answered that count for the visit."""
    done = Comparison.objects.answered().filter(
        COUNTED,
        study=visit.recruitment.study_id,
        rater=visit.enrolment.rater_id,
        answered_at__gt=begun_at(visit),
    )
    if visit.ended_at is not None:
        done = done.filter(answered_at__lte=visit.ended_at)
    return done.count()


def left_in_visit(enrolment: Enrolment) -> int | None:
    """Answers that her newest visit still asks for; None without a visit, or for one that asks for no number."""
    visit = enrolment.visit
    if visit is None:
        return None
    if visit.ended_at is not None:
        return 0
    share = visit.recruitment.comparisons
    return None if share is None else max(0, share - answered_in(visit))


def require_visit_under_way(enrolment: Enrolment) -> None:
    """Conflict when her visit has ended: what she was given a code for stays as it is."""
    if enrolment.visit is not None and enrolment.visit.ended_at is not None:
        raise Conflict(_("Your part in this study has ended, so its answers stay as they are."))


def may_undo(enrolment: Enrolment, comparison: Comparison) -> bool:
    """Whether she gave the answer in her visit under way, if she was sent here: earlier ones were paid for."""
    if enrolment.visit is None:
        return True
    if enrolment.visit.ended_at is not None:
        return False
    given = comparison.answered_at or comparison.skipped_at
    return given is None or given > begun_at(enrolment.visit)
