"""What a rater has done in a study, in the few numbers that the rules for paying and using look at."""

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Aggregate, Count, F, FloatField, Q
from django.db.models.functions import Cast

from evalhub.studies.models import Study
from raters.models import Choice, Comparison, Control, GoldUse, Rater, Remark, Vote
from raters.services.golds import answered_golds

MILLISECOND = timedelta(milliseconds=1)
FAST = timedelta(milliseconds=500)
AWAY = timedelta(seconds=2)  # less than that is a glance at the clock

_SWAPPED = {Choice.LEFT: Choice.RIGHT, Choice.RIGHT: Choice.LEFT, Choice.BOTH_BAD: Choice.TIE}


@dataclass(frozen=True)
class Record:
    """One rater in one study.

    Attributes:
        answered: pairs, controls, practice and qualification among them: all of it was work.
        gold_hits, gold_total: known answers found among the comparisons; practice and qualification apart.
        repeat_hits, repeat_total: answers to pairs shown again, and those that were as before; both bad is a tie.
        median_seconds: from both sides shown to the answer; None where her browser never told.
        fast_share, away_share: share of pairs answered in less than half a second, or with her page out of sight for
            two seconds or more meanwhile.
    """

    answered: int = 0
    gold_hits: int = 0
    gold_total: int = 0
    repeat_hits: int = 0
    repeat_total: int = 0
    median_seconds: float | None = None
    fast_share: float | None = None
    away_share: float | None = None

    @property
    def gold_share(self) -> float | None:
        return self.gold_hits / self.gold_total if self.gold_total else None

    @property
    def repeat_share(self) -> float | None:
        return self.repeat_hits / self.repeat_total if self.repeat_total else None


class Median(Aggregate):
    """The median of a group's numbers, by the database."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def records_of(study: Study, rater: Rater | None = None) -> dict[uuid.UUID, Record]:
    """Of every rater who has answered something, or of one, by her id."""
    only = {"rater": rater} if rater is not None else {}
    found: dict[uuid.UUID, dict[str, Any]] = defaultdict(dict)
    own = Comparison.objects.answered().filter(study=study, **only).order_by().values("rater")
    for row in own.annotate(answered=Count("id")):
        found[row["rater"]]["answered"] = row["answered"]
    known = answered_golds(study, GoldUse.CONTROL).filter(**only).order_by().values("rater", "missed")
    for row in known.annotate(of=Count("id")):
        mine = found[row["rater"]]
        mine["gold_total"] = mine.get("gold_total", 0) + row["of"]
        mine["gold_hits"] = mine.get("gold_hits", 0) + (0 if row["missed"] else row["of"])
    for one, (hits, total) in _repeats(study, only).items():
        found[one] |= {"repeat_hits": hits, "repeat_total": total}
    taken = Vote.objects.filter(study=study, milliseconds__isnull=False, **only).order_by().values("rater")
    in_earnest = taken.filter(Q(comparison__gold=None) | Q(comparison__gold__use=GoldUse.CONTROL))
    fast = Count("id", filter=Q(milliseconds__lt=FAST / MILLISECOND))
    looks = in_earnest.annotate(median=Median(Cast(F("milliseconds"), FloatField())), fast=fast, timed=Count("id"))
    for one, median, fast_ones, timed in looks.values_list("rater", "median", "fast", "timed"):
        found[one] |= {"median_seconds": median / 1000, "fast_share": fast_ones / timed}
    for one, away in away_counts(study, rater).items():
        found[one]["away_share"] = min(1.0, away / max(found[one].get("answered", 0), 1))
    return {one: Record(**facts) for one, facts in found.items()}


def record_of(study: Study, rater: Rater) -> Record:
    return records_of(study, rater).get(rater.pk, Record())


def away_counts(study: Study, rater: Rater | None = None) -> dict[uuid.UUID, int]:
    """On how many answered pairs the page was out of sight for a while; of raters of whom anything is known.

    A browser that measures says so with the first answer that has anything to say, so whoever never left is not among
    these, and is no worse for it.
    """
    remarks = Remark.objects.filter(
        comparison__study=study,
        comparison__answered_at__isnull=False,
        away_milliseconds__gte=AWAY / MILLISECOND,
    )
    if rater is not None:
        remarks = remarks.filter(comparison__rater=rater)
    rows = remarks.order_by().values("comparison__rater").annotate(pairs=Count("comparison", distinct=True))
    return {row["comparison__rater"]: row["pairs"] for row in rows}


def _repeats(study: Study, only: dict[str, Any]) -> dict[uuid.UUID, tuple[int, int]]:
    """(answers as before, answers) to the pairs that a rater was shown again."""
    again = Comparison.objects.answered().filter(
        study=study, control=Control.REPEAT, original__answered_at__isnull=False, **only
    )
    pairs = {
        pk: (rater, original or 0, left != first_left)
        for pk, rater, original, left, first_left in again.values_list(
            "pk", "rater", "original", "left", "original__left"
        )
    }
    wanted = {*pairs, *(original for _, original, _ in pairs.values())}
    votes = Vote.objects.filter(comparison__in=wanted).latest_revisions()
    said: dict[int, dict[int, str]] = defaultdict(dict)
    for comparison, criterion, choice in votes.values_list("comparison", "criterion", "choice"):
        said[comparison][criterion] = choice
    counted: dict[uuid.UUID, tuple[int, int]] = {}
    for pk, (rater, original, turned) in pairs.items():
        before = said[original]
        hits, total = counted.get(rater, (0, 0))
        for criterion, choice in said[pk].items():
            if criterion in before:
                hits += _meant(choice, turned) == _meant(before[criterion], False)
                total += 1
        counted[rater] = (hits, total)
    return counted


def _meant(choice: str, turned: bool) -> str:
    if choice == Choice.BOTH_BAD:
        return Choice.TIE
    return _SWAPPED.get(Choice(choice), choice) if turned else choice
