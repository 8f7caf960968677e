"""The only door to what a rater was shown. A token opens nothing for anybody else, and nothing after its time."""

from django.db.models import Q
from django.http import Http404
from django.utils import timezone

from evalhub.studies.models import Role, User
from raters.models import Comparison, PresentationCopy, Rater


def own_comparison(rater: Rater, token: str) -> Comparison:
    """The rater's own comparison with that token; Http404 for any other and when it has expired."""
    comparisons = Comparison.objects.select_related("study", "rater")
    comparison = comparisons.filter(rater=rater, token=token, expires_at__gt=timezone.now()).first()
    if comparison is None:
        raise Http404
    return comparison


def shown_copy(user: User, token: str) -> PresentationCopy:
    """What lies behind the token of one side, for the rater it was made for while she is one; Http404 otherwise."""
    comparison = (
        Comparison.objects.select_related("left_copy__media", "right_copy__media")
        .filter(Q(left_token=token) | Q(right_token=token), rater__user=user, expires_at__gt=timezone.now())
        .filter(study__memberships__user=user, study__memberships__role=Role.RATER)
        .first()
    )
    if comparison is None:
        raise Http404
    return comparison.left_copy if comparison.left_token == token else comparison.right_copy
