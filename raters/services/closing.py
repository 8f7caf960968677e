"""Studies that close themselves: on their budget of answers, or when the order of their contestants is settled."""

from django.db import transaction
from django.db.models import Sum

from evalhub.studies.models import ClosedBecause, Study, StudyState
from evalhub.studies.services import close_study
from raters.models import Enrolment, Fit


def close_if_done(*, study: Study) -> bool:
    """Close an open study that has what it asked for; whether this call did.

    It is asked after each official fit, and on the budget with every answer. A budget may end up exceeded by what
    several raters answered at the very same moment.
    """
    with transaction.atomic():
        locked = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
        if locked.state != StudyState.OPEN:
            return False
        if is_spent(locked):
            because = ClosedBecause.BUDGET
        elif locked.closes_when_separated and is_separated(locked):
            because = ClosedBecause.SEPARATION
        else:
            return False
        close_study(study=locked, because=because, answers=answers_counted(locked))
        return True


def answers_counted(study: Study) -> int:
    """Comparisons answered: controls apart, and without those of excluded raters. Read from one number per rater."""
    counted = Enrolment.objects.filter(study=study, excluded_at=None).aggregate(answers=Sum("answers"))
    return counted["answers"] or 0


def is_spent(study: Study) -> bool:
    """Whether the study has as many answers as its budget asks for."""
    return study.vote_budget is not None and answers_counted(study) >= study.vote_budget


def is_separated(study: Study) -> bool:
    """Whether the newest fit of every question tells each contestant from the next, and leaves no contestant out."""
    contestants = {str(pk) for pk in study.checkpoints.competing().values_list("pk", flat=True)}
    return all(
        _separates(
            study.fits.official().done().filter(criterion=criterion).order_by("-created_at").first(), contestants
        )
        for criterion in study.criteria.all()
    )


def _separates(fit: Fit | None, contestants: set[str]) -> bool:
    if fit is None or not fit.separations:
        return False
    placed = {neighbours[side] for neighbours in fit.separations for side in ("upper", "lower")}
    return placed >= contestants and all(neighbours["separated"] for neighbours in fit.separations)
