"""A comparison left unanswered on purpose: what is damaged, what she cannot judge, what she does not want to see."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from evalhub.problems import Refusal
from raters.access import own_comparison
from raters.models import Comparison, Rater, Side, Skip, SkipReason
from raters.services.enrolling import lock, require_answering
from raters.services.remarks import checked_comment


@transaction.atomic
def skip(*, token: str, rater: Rater, reason: str, side: str = "", comment: str = "") -> Comparison:
    """Leave one comparison unanswered, for a reason. It is not offered to her again; `undo_last` reopens it.

    A second call changes nothing, nor does one for a comparison that she has answered meanwhile.

    Args:
        reason: one of SkipReason; another reason than those named takes a comment.
        side: left or right, where one of the two is broken; empty for both, and with any other reason.
    Raises: Http404 for a token that is not hers or has expired; Refusal without a reason; Conflict when the study takes
        no votes now.
    """
    comparison = own_comparison(rater, token)
    enrolment = lock(rater, comparison.study)
    open_still = Comparison.objects.filter(pk=comparison.pk, answered_at=None, skipped_at=None)
    if not open_still.exists():
        return comparison
    require_answering(enrolment, comparison)
    _require_reason(reason, side)
    comment = checked_comment(comment)
    if reason == SkipReason.OTHER and not comment:
        raise Refusal(_("Another reason takes a few words that say which; write them and skip again."))
    comparison.skipped_at = timezone.now()
    open_still.update(skipped_at=comparison.skipped_at)
    Skip.objects.create(comparison=comparison, reason=reason, side=side, comment=comment)
    return comparison


def reopen(comparison: Comparison) -> Comparison:
    """Take a skip back; her enrolment is locked."""
    Skip.objects.filter(comparison=comparison).delete()
    comparison.skipped_at = None
    comparison.expires_at = timezone.now() + Comparison.LIFETIME
    comparison.save(update_fields=["skipped_at", "expires_at"])
    return comparison


def _require_reason(reason: str, side: str) -> None:
    if reason not in SkipReason.values:
        raise Refusal(
            _("A pair is skipped for one of the reasons %(expected)s; got “%(given)s”. Choose one.")
            % {"expected": ", ".join(SkipReason.values), "given": reason[:40]}
        )
    if side not in {"", *(Side.values if reason == SkipReason.BROKEN else ())}:
        raise Refusal(
            _(
                "What is broken is the left side, the right side or both, and no other reason names a side; "
                "got “%(given)s”."
            )
            % {"given": side[:40]}
        )
