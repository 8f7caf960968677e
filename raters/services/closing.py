"""Studies that close themselves: on their budget of answers, or when the order of their contestants is settled."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Sum

from evalhub.studies.models import ClosedBecause, Criterion, Study, StudyState
from evalhub.studies.services import close_study
from raters.models import Enrolment, EnrolmentState, Fit


@dataclass(frozen=True)
class Order:
    """How far the votes have settled one question's order, as of its newest fit.

    Attributes:
        pairs, separated: neighbours in the ranking, and how many of them the votes tell apart.
        unplaced: contestants that raters are offered and the ranking cannot place yet.
    """

    criterion: Criterion
    pairs: int
    separated: int
    unplaced: int

    @property
    def is_settled(self) -> bool:
        return self.pairs > 0 and self.separated == self.pairs and not self.unplaced


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
    """Comparisons answered here: controls apart, and without those of raters who are excluded or took back their
    consent. Read from one number per rater."""
    used = Enrolment.objects.filter(study=study, excluded_at=None, vote_import=None).exclude(
        state=EnrolmentState.WITHDRAWN
    )
    counted = used.aggregate(answers=Sum("answers"))
    return counted["answers"] or 0


def is_spent(study: Study) -> bool:
    """Whether the study has as many answers as its budget asks for."""
    return study.vote_budget is not None and answers_counted(study) >= study.vote_budget


def is_separated(study: Study) -> bool:
    """Whether the newest fit of every question tells each contestant from the next, and leaves no contestant out."""
    return all(order.is_settled for order in orders(study))


def orders(study: Study) -> list[Order]:
    """How far each question's order is settled."""
    contestants = {str(pk) for pk in study.checkpoints.competing().values_list("pk", flat=True)}
    fits = Fit.objects.official().done().filter(study=study).order_by("-created_at")
    found = []
    for criterion in study.criteria.all():
        neighbours = fits.filter(criterion=criterion).values_list("separations", flat=True).first() or []
        verdicts = _verdicts(neighbours, contestants)
        placed = {pair[side] for pair in neighbours for side in ("upper", "lower")}
        found.append(Order(criterion, len(verdicts), sum(verdicts), len(contestants - placed)))
    return found


def _verdicts(neighbours: list[dict[str, Any]], contestants: set[str]) -> list[bool]:
    """Whether each contestant that still competes is told from the next that does, in rank order.

    Raters are not shown those withdrawn any more, so what is open beside one would stay so. Two others around it are
    told apart if the least differences along the way, which all hold at once, add up to more than nothing.
    """
    verdicts = []
    way: list[dict[str, Any]] | None = None  # from the last one that competes
    for pair in neighbours:
        if pair["upper"] in contestants:
            way = []
        if way is not None:
            way.append(pair)
            if pair["lower"] in contestants:
                verdicts.append(pair["separated"] if len(way) == 1 else sum(step["low"] for step in way) > 0)
    return verdicts
