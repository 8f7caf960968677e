"""Each rater beside the newest ranking: lapses, habits, controls, speed, agreement and influence, to be looked at."""

from dataclasses import replace
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Greatest, Least
from numpy.typing import NDArray

from raters.models import Comparison, Control, Enrolment, EnrolmentState, Fit, Standing
from raters.ranking import OUTCOMES, Controls, GroupInfluence, Influence, RaterTrust, find_trust, swapped
from raters.services.computing import Computed
from raters.services.counting import GOLD, NO_CONTROL, REPEAT, Answers
from raters.services.records import FAST, MILLISECOND, away_counts

Integers = NDArray[np.int64]

_AS_THEY_ARE = (
    "votes",
    "weight",
    "lapse",
    "side_bias",
    "side_low",
    "side_high",
    "left_rate",
    "tie_rate",
    "agreement",
    "expected_agreement",
)


def judge_raters(fit: Fit, computed: Computed, influence: Influence | None) -> None:
    """Replace the standings on the fit's criterion by those beside this fit.

    Excluded raters do not move what they are held against, but are looked at too.
    """
    answers = computed.answers
    plain = answers.control == NO_CONTROL
    votes = replace(
        answers.only(plain).votes(computed.contestants),
        rater=answers.rater[plain],
        weight=computed.counted[plain].astype(np.float64),
    )
    trust = find_trust(votes, computed.names, gold=_gold(fit, answers), repeats=_repeats(fit, answers))
    present = Enrolment.objects.filter(study=fit.study).exclude(state=EnrolmentState.WITHDRAWN)
    enrolments = {enrolment.rater_id: enrolment for enrolment in present}
    moved = _by_rater(influence, computed.voters)
    seconds, attention = _median_seconds(answers.only(plain)), _attention(fit, answers)
    standings = []
    for one in trust.raters:
        rater = answers.raters[one.rater]
        if rater in enrolments:
            standing = _standing(one, seconds.get(one.rater), moved.get(str(rater))) | attention[one.rater]
            standings.append(Standing(enrolment=enrolments[rater], criterion=fit.criterion, fit=fit, **standing))
    with transaction.atomic():
        Standing.objects.filter(enrolment__study=fit.study, criterion=fit.criterion).delete()
        Standing.objects.bulk_create(standings, batch_size=1000)


def _standing(trust: RaterTrust, seconds: float | None, moved: GroupInfluence | None) -> dict[str, Any]:
    return {
        **{name: getattr(trust, name) for name in _AS_THEY_ARE},
        "gold_hits": trust.gold.hits if trust.gold else 0,
        "gold_total": trust.gold.total if trust.gold else 0,
        "repeat_hits": trust.repeats.hits if trust.repeats else 0,
        "repeat_total": trust.repeats.total if trust.repeats else 0,
        "median_seconds": seconds,
        "influence": moved.largest if moved else None,
        "changes_top": moved.changes_top if moved else False,
    }


def _by_rater(influence: Influence | None, voters: tuple[Any, ...]) -> dict[str, GroupInfluence]:
    return {str(voters[group.group]): group for group in influence.groups} if influence else {}


def _median_seconds(answers: Answers) -> dict[int, float]:
    """By code of the rater; none for one whose browser never told."""
    known = answers.milliseconds >= 0
    rater, taken = answers.rater[known], answers.milliseconds[known]
    order = np.lexsort((taken, rater))
    codes, first = np.unique(rater[order], return_index=True)
    return {
        int(code): float(np.median(part)) / 1000
        for code, part in zip(codes, np.split(taken[order], first[1:]), strict=False)
    }


def _attention(fit: Fit, answers: Answers) -> dict[int, dict[str, float | None]]:
    """By code of the rater: how often she was too fast to have looked, and how often her page was out of sight."""
    away, found = away_counts(fit.study), {}
    timed = answers.milliseconds >= 0
    for code, rater in enumerate(answers.raters):
        own = answers.rater == code
        pairs, looks = len(np.unique(answers.comparison[own])), answers.milliseconds[own & timed]
        found[code] = {
            "fast_share": float((looks < FAST / MILLISECOND).mean()) if len(looks) else None,
            "away_share": min(1.0, away[rater] / pairs) if rater in away and pairs else None,
        }
    return found


def _gold(fit: Fit, answers: Answers) -> Controls | None:
    asked = answers.only(answers.control == GOLD)
    if not len(asked):
        return None
    known = Comparison.objects.in_earnest().filter(study=fit.study, control=Control.GOLD).exclude(expected="")
    known = known.filter(Q(gold__retired_at=None), Q(gold__criterion=None) | Q(gold__criterion=fit.criterion))
    expected = {pk: OUTCOMES.index(word) for pk, word in known.values_list("pk", "expected")}
    return _controls(asked, np.array([expected.get(pk, -1) for pk in asked.comparison.tolist()], dtype=np.int64))


def _repeats(fit: Fit, answers: Answers) -> Controls | None:
    """Pairs shown to a rater again, with what she said the first time, turned round if the sides were."""
    again = answers.only(answers.control == REPEAT)
    if not len(again):
        return None
    first = Comparison.objects.alias(one=Least("left", "right"), other=Greatest("left", "right")).filter(
        rater=OuterRef("rater"), one=Least(OuterRef("left"), OuterRef("right")), control=Control.NONE
    )
    first = first.filter(other=Greatest(OuterRef("left"), OuterRef("right")))
    repeated = Comparison.objects.filter(study=fit.study, control=Control.REPEAT).annotate(
        first=Subquery(first.values("pk")[:1]), first_left=Subquery(first.values("left")[:1])
    )
    originals = {
        pk: (one, left != own) for pk, one, left, own in repeated.values_list("pk", "first", "first_left", "left")
    }
    said = dict(zip(answers.comparison.tolist(), answers.outcome.tolist(), strict=True))
    found = [originals[pk] for pk in again.comparison.tolist()]
    before = np.array([said.get(one, -1) for one, _ in found], dtype=np.int64)
    turned = np.array([turn for _, turn in found], dtype=bool)
    return _controls(again, np.where(turned & (before >= 0), swapped(before), before))


def _controls(answers: Answers, expected: Integers) -> Controls | None:
    known = expected >= 0
    return Controls(answers.rater[known], answers.outcome[known], expected[known]) if known.any() else None
