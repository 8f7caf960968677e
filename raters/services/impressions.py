"""One comparison put before a rater, whyever: everything of it that her browser gets is made here, always alike."""

import secrets
import uuid
from typing import Any, NamedTuple

from django.utils import timezone

from evalhub.studies.models import Study
from raters.models import Comparison, Rater


class Side(NamedTuple):
    """What stands on one side: ids of the sample, its copy and its checkpoint."""

    sample: int
    copy: int
    checkpoint: uuid.UUID


def new_token() -> str:
    return secrets.token_urlsafe(32)


def weight(comparison: Comparison) -> int:
    """Bytes of both its copies; it has some, or it would not be offered."""
    return sum(copy.size for copy in (comparison.left_copy, comparison.right_copy) if copy is not None)


def tossed(one: Side, other: Side) -> tuple[Side, Side]:
    """The two on sides that nobody can foretell."""
    return (other, one) if secrets.randbelow(2) else (one, other)


def put(**what: Any) -> Comparison:
    """A new comparison, stored; as `drawn_up`."""
    comparison = drawn_up(**what)
    comparison.save(force_insert=True)
    return comparison


def drawn_up(*, study: Study, rater: Rater, prompt: int, left: Side, right: Side, **why: Any) -> Comparison:
    """A new comparison of the two, which is still to be stored.

    Args:
        why: its reason, propensity and, of a control, what it is one of.
    """
    return Comparison(
        study=study,
        rater=rater,
        prompt_id=prompt,
        left_id=left.sample,
        right_id=right.sample,
        left_copy_id=left.copy,
        right_copy_id=right.copy,
        left_checkpoint_id=left.checkpoint,
        right_checkpoint_id=right.checkpoint,
        token=new_token(),
        left_token=new_token(),
        right_token=new_token(),
        expires_at=timezone.now() + Comparison.LIFETIME,
        **why,
    )
