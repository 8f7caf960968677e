"""Which pair a rater sees next."""

import secrets
import uuid
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from evalhub.studies.models import Study
from raters.models import Comparison, Control, Enrolment, EnrolmentState, Fit, FitState, Rater, Reason
from raters.ranking import draw_pair, pair_probabilities
from raters.ranking.votes import Floats
from raters.services.enrolling import lock_comparing
from raters.services.offers import Offers, Pair, offers_of, unordered


@transaction.atomic
def next_comparison(*, study: Study, rater: Rater, after: Comparison | None = None) -> Comparison | None:
    """The comparison the rater answers next: one she has not answered yet, or else a newly drawn one.

    Args:
        after: the one she is looking at, to get the one that follows it ahead of time.
    Returns:
        None when she has done her share, or nothing is left that she has not seen.
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
    """How many answers the study still asks of her, None for as many as there are; keeps her state in step."""
    share = enrolment.study.votes_per_rater
    left = None if share is None else max(0, share - answered_by(enrolment.rater, enrolment.study))
    state = EnrolmentState.COMPLETE if left == 0 else EnrolmentState.ACTIVE
    if enrolment.state != state:
        enrolment.state = state
        enrolment.save(update_fields=["state"])
    return left


def _draw(study: Study, rater: Rater) -> Comparison | None:
    offers = offers_of(study)
    if len(offers.checkpoints) < 2:
        return None
    seen = {
        unordered(left, right)
        for left, right in Comparison.objects.filter(study=study, rater=rater).values_list("left", "right")
    }
    probabilities, reason = _probabilities(study, offers)
    random = np.random.default_rng()  # seeded by the operating system's own randomness
    drawn = draw_pair(probabilities, random, offers.allowed(seen))
    if drawn is None:
        return None
    row = _least_compared_row(study, offers, drawn.first, drawn.second, seen)
    columns = [drawn.first, drawn.second]
    if secrets.randbelow(2):
        columns.reverse()
    left, right = ({"sample": int(offers.samples[row, c]), "copy": int(offers.copies[row, c])} for c in columns)
    return Comparison.objects.create(
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


def _probabilities(study: Study, offers: Offers) -> tuple[Floats, Reason]:
    """(K, K) how probable each pair of columns is: as the newest fit says, before there is one by least compared."""
    fit = Fit.objects.filter(study=study, state=FitState.DONE, criterion=study.criteria.first()).first()
    if fit is None or not fit.pairing:
        return pair_probabilities(_comparisons(study, offers)), Reason.LEAST
    known = {uuid.UUID(checkpoint): place for place, checkpoint in enumerate(fit.pairing["checkpoints"])}
    frozen = np.array(fit.pairing["probabilities"], dtype=np.float64)
    places = np.array([known.get(checkpoint, -1) for checkpoint in offers.checkpoints])
    weights = np.where((places[:, None] < 0) | (places[None, :] < 0), frozen.max(), frozen[np.ix_(places, places)])
    np.fill_diagonal(weights, 0.0)
    return weights / np.triu(weights).sum(), Reason.INFORMATION


def _comparisons(study: Study, offers: Offers) -> Any:
    """(K, K) how often each pair of columns was compared or is about to be."""
    counts = np.zeros((len(offers.checkpoints),) * 2, dtype=np.int64)
    columns = {checkpoint: place for place, checkpoint in enumerate(offers.checkpoints)}
    pairs = Comparison.objects.filter(study=study, control=Control.NONE).values_list(
        "left_checkpoint", "right_checkpoint"
    )
    for left, right, count in pairs.annotate(count=Count("id")).order_by():
        if left in columns and right in columns:
            counts[columns[left], columns[right]] += count
            counts[columns[right], columns[left]] += count
    return counts


def _least_compared_row(study: Study, offers: Offers, first: int, second: int, seen: set[Pair]) -> int:
    """A row she has not seen, of the prompts that this pair has been compared on least; at random among them."""
    one, other = offers.checkpoints[first], offers.checkpoints[second]
    either_way = Q(left_checkpoint=one, right_checkpoint=other) | Q(left_checkpoint=other, right_checkpoint=one)
    compared = dict(
        Comparison.objects.filter(either_way, study=study).order_by().values_list("prompt").annotate(Count("id"))
    )
    rows = offers.rows(first, second, seen)
    least = min(compared.get(int(offers.prompts[row]), 0) for row in rows)
    return secrets.choice([row for row in rows if compared.get(int(offers.prompts[row]), 0) == least])
