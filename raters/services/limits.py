"""How much a rater may still answer in a study: her share, and her share of a day."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from evalhub.prepared import Prepared, Slot
from evalhub.problems import Conflict, NotNeeded
from evalhub.studies.models import Study
from raters.models import Comparison, Enrolment, Rater
from raters.services.shares import left_in_visit

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_answered = Prepared(
    lambda: (
        Comparison.objects.in_earnest()
        .filter(study=Slot("study"), rater=Slot("rater"), answered_at__gte=Slot("since"))
        .order_by()
        .values("rater")
        .annotate(number=Count("pk"))
        .values_list("number")
    )
)


@dataclass(frozen=True)
class Allowance:
    """Answers that a rater may still give; None: as many as there are.

    Attributes:
        in_all: of her share of the study.
        today: of what the study takes from one rater a day. Days are those of UTC, alike for everybody.
        in_visit: of what the link or platform that sent her asks for.
        until: when the next day begins.
    """

    in_all: int | None
    today: int | None
    until: datetime
    in_visit: int | None = None

    @property
    def now(self) -> int | None:
        return min((left for left in (self.in_all, self.today, self.in_visit) if left is not None), default=None)

    @property
    def only_for_today(self) -> bool:
        """Whether she has done her part of the day, and is asked for more tomorrow."""
        return self.today == 0 and 0 not in {self.in_all, self.in_visit}


def allowance(enrolment: Enrolment) -> Allowance:
    """What is left for her now: controls count like the pairs that they look like, practice and qualification do not.
    Exact for as long as her enrolment is locked: every answer of hers takes that lock."""
    study, now = enrolment.study, timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    in_all, today = study.votes_per_rater, study.votes_per_rater_per_day
    return Allowance(
        in_all=None if in_all is None else max(0, in_all - answered_since(enrolment.rater, study)),
        today=None if today is None else max(0, today - answered_since(enrolment.rater, study, midnight)),
        until=midnight + timedelta(days=1),
        in_visit=left_in_visit(enrolment),
    )


def answered_since(rater: Rater, study: Study, since: datetime = BEFORE_ALL) -> int:
    """How many comparisons she has answered in the study, controls among them, which look alike."""
    (number,) = _answered.first(study=study.pk, rater=rater.pk, since=since) or (0,)
    return int(number)


def require_allowance(enrolment: Enrolment) -> None:
    """Conflict when she has done her share of the day, NotNeeded when it is that of the study."""
    left = allowance(enrolment)
    if left.only_for_today:
        share = enrolment.study.votes_per_rater_per_day or 0
        raise Conflict(
            ngettext(
                "This study takes %(number)s answer a day from one rater, and today's is in; "
                "you can go on at 00:00 UTC.",
                "This study takes %(number)s answers a day from one rater, and today's are in; "
                "you can go on at 00:00 UTC.",
                share,
            )
            % {"number": number_format(share, force_grouping=True)}
        )
    if 0 in {left.in_all, left.in_visit}:
        raise NotNeeded(_("Your share of this study is done, so this answer was not needed any more."))
