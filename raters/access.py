"""The only door to what a rater was shown. A token opens nothing for anybody else, and nothing after its time."""

from django.db.models import Exists, OuterRef, Q
from django.http import Http404
from django.utils import timezone

from evalhub.studies.models import Membership, Role, User
from raters.models import Comparison, PresentationCopy, Rater


def own_comparison(rater: Rater, token: str) -> Comparison:
    """The rater's own comparison with that token; Http404 for any other, when it has expired, and when she may not
    compare in its study any more, whatever study's page she comes by."""
    _require_text(token)
    comparisons = Comparison.objects.select_related("study", "rater").filter(rater=rater)
    if rater.user_id is not None:  # simulated raters have no account and so no membership
        role = Membership.objects.filter(study=OuterRef("study"), user=rater.user_id, role=Role.RATER)
        comparisons = comparisons.filter(Exists(role))
    comparison = comparisons.filter(token=token, expires_at__gt=timezone.now()).first()
    if comparison is None:
        raise Http404
    return comparison


def shown_copy(user: User, token: str) -> PresentationCopy:
    """What lies behind the token of one side, for the rater it was made for while she is one; Http404 otherwise."""
    _require_text(token)
    comparison = (
        Comparison.objects.select_related("left_copy__media", "right_copy__media")
        .filter(Q(left_token=token) | Q(right_token=token), rater__user=user, expires_at__gt=timezone.now())
        .filter(study__memberships__user=user, study__memberships__role=Role.RATER)
        .first()
    )
    if comparison is None:
        raise Http404
    return comparison.left_copy if comparison.left_token == token else comparison.right_copy


def _require_text(token: str) -> None:
    """Http404 for what PostgreSQL would not even take for a text."""
    if "\0" in token:
        raise Http404
