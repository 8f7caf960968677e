"""Which pair a rater sees next."""

import secrets

import numpy as np
from django.db import transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from evalhub.studies.models import Study
from raters.models import Comparison, Enrolment, EnrolmentState, PairCount, Rater
from raters.ranking import draw_pair
from raters.services.chances import chances
from raters.services.enrolling import lock_comparing
from raters.services.limits import allowance
from raters.services.offers import Offers, Seen, offers_of


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
    comparison = others.select_related("left_copy", "right_copy", "prompt").first()
    if comparison is not None:
        return _renewed(comparison)
    if left_to_do is not None and waiting.count() >= left_to_do:
        return None
    return _draw(study, rater)


def mark_shown(*, comparison: Comparison) -> None:
    """Record that the browser has revealed both sides; the first time counts."""
    Comparison.objects.filter(pk=comparison.pk).update(shown_at=Coalesce("shown_at", timezone.now()))


def answered_by(rater: Rater, study: Study) -> int:
    """How many comparisons she has answered in the study."""
    return Comparison.objects.answered().filter(study=study, rater=rater).count()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def _renewed(comparison: Comparison) -> Comparison:
    """The same pair on the same sides. Tokens live on while she keeps coming; expired ones are replaced."""
    now = timezone.now()
    if comparison.expires_at <= now:
        comparison.token, comparison.left_token, comparison.right_token = new_token(), new_token(), new_token()
    if comparison.expires_at <= now + Comparison.LIFETIME / 2:
        comparison.expires_at = now + Comparison.LIFETIME
        comparison.save(update_fields=["token", "left_token", "right_token", "expires_at"])
    return comparison


def _left_to_do(enrolment: Enrolment) -> int | None:
    """How many answers the study takes from her now, None for as many as there are; keeps her state in step."""
    left = allowance(enrolment)
    state = EnrolmentState.COMPLETE if left.in_all == 0 else EnrolmentState.ACTIVE
    if enrolment.state != state:
        enrolment.state = state
        enrolment.save(update_fields=["state"])
    return left.now


def _draw(study: Study, rater: Rater) -> Comparison | None:
    """A new comparison; before she is told that nothing is left, the offers are read as they are now."""
    offers = offers_of(study)
    comparison = _draw_from(offers, study, rater)
    if comparison is None:
        newest = offers_of(study, newest=True)
        comparison = None if newest is offers else _draw_from(newest, study, rater)
    return comparison


def _draw_from(offers: Offers, study: Study, rater: Rater) -> Comparison | None:
    in_the_running = set(study.checkpoints.competing().values_list("pk", flat=True))
    competing = np.array([checkpoint in in_the_running for checkpoint in offers.checkpoints], dtype=bool)
    own = Comparison.objects.filter(study=study, rater=rater).order_by().values_list("left", "right")
    seen = offers.seen(list(own))
    allowed = offers.allowed(seen) & competing[:, None] & competing[None, :]
    if not allowed.any():
        return None
    probabilities, reason = chances(study, offers.checkpoints, competing, allowed)
    drawn = draw_pair(probabilities, np.random.default_rng())  # seeded by the operating system's own randomness
    if drawn is None:
        return None
    row = _least_compared_row(offers, drawn.first, drawn.second, seen)
    columns = [drawn.first, drawn.second]
    if secrets.randbelow(2):
        columns.reverse()
    left, right = ({"sample": int(offers.samples[row, c]), "copy": int(offers.copies[row, c])} for c in columns)
    comparison = Comparison.objects.create(
        study=study,
        rater=rater,
        prompt_id=int(offers.prompts[row]),
        left_id=left["sample"],
        right_id=right["sample"],
        left_copy_id=left["copy"],
        right_copy_id=right["copy"],
        left_checkpoint_id=offers.checkpoints[columns[0]],
        right_checkpoint_id=offers.checkpoints[columns[1]],
        reason=reason,
        propensity=min(1.0, drawn.propensity),
        token=new_token(),
        left_token=new_token(),
        right_token=new_token(),
        expires_at=timezone.now() + Comparison.LIFETIME,
    )
    PairCount.objects.add(comparison)
    return comparison


def _least_compared_row(offers: Offers, first: int, second: int, seen: Seen) -> int:
    """A row she has not seen, of the prompts that this pair has been compared on least; at random among them."""
    compared = PairCount.objects.per_prompt(offers.checkpoints[first], offers.checkpoints[second])
    rows = offers.rows(first, second, seen)
    counts = [compared.get(int(prompt), 0) for prompt in offers.prompts[rows]]
    least = min(counts)
    return int(secrets.choice([row for row, count in zip(rows, counts, strict=True) if count == least]))
