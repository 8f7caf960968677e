"""Which pair a rater sees next."""

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from evalhub.prepared import Prepared, Slot, any_of
from evalhub.studies.models import Study
from raters.models import Comparison, Enrolment, EnrolmentState, Rater
from raters.services.closing import answers_counted
from raters.services.drawing import Drawing
from raters.services.enrolling import lock_comparing
from raters.services.impressions import new_token, weight
from raters.services.limits import allowance, answered_since

SHOWN_WITH = ("left_copy", "right_copy", "prompt")
AHEAD = 8  # pairs that a browser holds besides the one before her
AHEAD_BYTES = 64 * 2**20  # and what their copies weigh together, but for the first one
MOST_LEASED = 3 * AHEAD  # to one rater, however many windows she has open

_waiting = Prepared(
    lambda: (
        Comparison.objects.unanswered()
        .filter(study=Slot("study"), rater=Slot("rater"))
        .select_related(*SHOWN_WITH)[:MOST_LEASED]
    )
)
_with_all_shown = Prepared(
    lambda: Comparison.objects.filter(pk__in=any_of("ids", "bigint")).select_related(*SHOWN_WITH).order_by("pk")
)


@transaction.atomic
def next_comparison(*, study: Study, rater: Rater, after: Comparison | None = None) -> Comparison | None:
    """The comparison the rater answers next: one she has not answered yet, or else a newly drawn one.

    How long it takes grows with what she herself has seen, and with nothing that others have: what a draw needs to know
    of all votes is precomputed by the fits or counted in `PairCount`.

    The propensity that a drawn one carries is the probability of its pair of contestants given all pairs that this
    rater could be shown at that moment (offered, with copies, and on some prompt not seen by her) and given the fits
    and counts that the draw read. It says nothing of the prompt, which is one of those where the pair was compared
    least, nor of the sides, which are even.

    Args:
        after: the one she is looking at, to get the one that follows it ahead of time.
    Returns:
        None when she has done her share (of the study, or of the day), or nothing is left that she has not seen.
    Raises: Conflict when the study takes no votes or she has not begun.
    """
    enrolment = lock_comparing(rater, study)
    left_to_do = _left_to_do(enrolment)
    if left_to_do == 0:
        return None
    waiting = Comparison.objects.unanswered().filter(study=study, rater=rater)
    others = waiting if after is None else waiting.exclude(pk=after.pk)
    comparison = others.select_related(*SHOWN_WITH).first()
    if comparison is not None:
        return _renewed(comparison)
    if left_to_do is not None and waiting.count() >= left_to_do:
        return None
    drawing = Drawing(study, rater)
    drawn = drawing.draw()
    drawing.store()
    return drawn


@transaction.atomic
def comparisons_ahead(
    *, study: Study, rater: Rater, held: Collection[str], count: int = AHEAD
) -> list[tuple[Comparison, int]]:
    """Lease what her browser may show next, so that it can go on at once, and while the server is away.

    First come those that she was leased before and that no window of hers holds, then newly drawn ones. What is leased
    and unanswered never exceeds what the study still takes from her, nor what is left of its budget.

    Args:
        held: tokens of the comparisons that her windows hold, those with an unsent answer among them.
        count: how many she has room for.
    Returns: each with how many she will have answered before it.
    Raises: Conflict when the study takes no votes or she has not begun.
    """
    enrolment = lock_comparing(rater, study)
    most = _most_leased(enrolment)
    waiting = _waiting(study=study.pk, rater=rater.pk)[:most]
    answered = answered_by(rater, study)
    leased = [(one, answered + place) for place, one in enumerate(waiting) if one.token not in held]
    wanted = min(count, AHEAD, len(leased) + most - len(waiting))
    if len(leased) < wanted:
        drawn = _draw(Drawing(study, rater), wanted - len(leased), [weight(one) for one, _ in leased])
        leased += [(one, answered + len(waiting) + place) for place, one in enumerate(drawn)]
    return [(_renewed(one), before) for one, before in leased[: min(count, AHEAD)]]


def _draw(drawing: Drawing, most: int, weights: list[int]) -> list[Comparison]:
    """New comparisons, with all that their desks show.

    Args: weights: bytes of the pairs that come before them.
    """
    drawn: list[Comparison] = []
    while len(drawn) < most and _light(weights) and (one := drawing.draw()):
        drawn.append(one)
        weights.append(drawing.weight(one))
    drawing.store()
    return _with_all_shown(ids=[one.pk for one in drawn]) if drawn else []


def mark_shown(*, rater: Rater, token: str, ago: timedelta = timedelta()) -> None:
    """Record that her browser has revealed both sides of a comparison; the first time counts, others' tokens do not.

    Args: ago: how long before now, as the browser says when it could not say so at once; never before the draw.
    """
    if "\0" in token:  # which PostgreSQL would not even take for a text
        return
    shown_at = Coalesce("shown_at", Greatest("created_at", Value(timezone.now() - ago)))
    Comparison.objects.filter(rater=rater, token=token).update(shown_at=shown_at)


def answered_by(rater: Rater, study: Study) -> int:
    """How many comparisons she has answered in the study, controls among them, which look alike."""
    return answered_since(rater, study)


def _renewed(comparison: Comparison) -> Comparison:
    """The same pair on the same sides. Tokens live on while she keeps coming; expired ones of pictures are replaced.

    The vote's own stays: a browser may still keep an answer under it, and opens nothing by it.
    """
    now = timezone.now()
    if comparison.expires_at <= now:
        comparison.left_token, comparison.right_token = new_token(), new_token()
    if comparison.expires_at <= now + Comparison.LIFETIME / 2:
        comparison.expires_at = now + Comparison.LIFETIME
        comparison.save(update_fields=["left_token", "right_token", "expires_at"])
    return comparison


def _light(weights: list[int]) -> bool:
    """Whether one more pair's copies are not too much for a browser to fetch ahead."""
    return not weights or sum(weights) * (len(weights) + 1) / len(weights) <= AHEAD_BYTES


def _most_leased(enrolment: Enrolment) -> int:
    """How many comparisons may lie unanswered before her at once."""
    study = enrolment.study
    limits = [MOST_LEASED, _left_to_do(enrolment)]
    if study.vote_budget is not None:
        limits.append(max(0, study.vote_budget - answers_counted(study)))
    return min(limit for limit in limits if limit is not None)


def _left_to_do(enrolment: Enrolment) -> int | None:
    """How many answers the study takes from her now, None for as many as there are; keeps her state in step."""
    left = allowance(enrolment)
    state = EnrolmentState.COMPLETE if left.in_all == 0 else EnrolmentState.ACTIVE
    if enrolment.state != state:
        enrolment.state = state
        enrolment.save(update_fields=["state"])
    return left.now
