"""The only door to what a rater was shown. A token opens nothing for anybody else, and nothing after its time."""

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404
from django.utils import timezone

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import Membership, Prompt, Role, User
from raters.models import Comparison, PresentationCopy, Rater

_is_rater = Exists(Membership.objects.filter(study=OuterRef("study"), user=Slot("user"), role=Role.RATER))
_own = Prepared(
    lambda: Comparison.objects.select_related("study", "gold").filter(
        rater=Slot("rater"), token=Slot("token"), expires_at__gt=Slot("after")
    )
)
_own_of_member = Prepared(
    lambda: Comparison.objects.select_related("study", "gold").filter(
        _is_rater, rater=Slot("rater"), token=Slot("token"), expires_at__gt=Slot("after")
    )
)


def own_comparison(rater: Rater, token: str) -> Comparison:
    """The rater's own comparison with that token; Http404 for any other, long after it has expired, and when she may
    not compare in its study any more, whatever study's page she comes by."""
    _require_text(token)
    asked = {"rater": rater.pk, "token": token, "after": timezone.now() - Comparison.LATE}
    # Simulated raters have no account and so no membership.
    comparison = _own.first(**asked) if rater.user_id is None else _own_of_member.first(**asked, user=rater.user_id)
    if comparison is None:
        raise Http404
    comparison.rater = rater
    return comparison


def shown_copy(user: User, token: str) -> PresentationCopy:
    """What lies behind the token of one side, for the rater it was made for while she is one; Http404 otherwise."""
    _require_text(token)
    sides = Q(left_token=token) | Q(right_token=token)
    comparison = _before(user).select_related("left_copy__media", "right_copy__media").filter(sides).first()
    if comparison is None:
        raise Http404
    copy = comparison.left_copy if comparison.left_token == token else comparison.right_copy
    if copy is None:
        raise Http404
    return copy


def given_copy(user: User, token: str, name: str) -> PresentationCopy:
    """The source, mask or reference of the comparison with that token, to the same rater; Http404 otherwise."""
    _require_text(token)
    comparison = _before(user).select_related("left_copy", "prompt").filter(token=token).first()
    copy = given_copies(comparison).get(name) if comparison else None
    if copy is None:
        raise Http404
    return copy


def given_copies(comparison: Comparison) -> dict[str, PresentationCopy]:
    """What the prompt of a comparison gives, by name, as it lies upon the two sides."""
    ids = {name: getattr(comparison.prompt, f"{name}_id") for name in Prompt.GIVEN}
    if not any(ids.values()):
        return {}
    side = comparison.left_copy
    if side is None:
        return {}
    copies = PresentationCopy.objects.in_force().ready().select_related("media")
    found = copies.filter(media__in=filter(None, ids.values()), width=side.width, height=side.height, rate=0)
    by_kind = {(copy.media_id, copy.is_outline): copy for copy in found}
    given = {name: by_kind.get((media, name == "mask")) for name, media in ids.items()}
    return {name: copy for name, copy in given.items() if copy is not None}


def _before(user: User) -> "QuerySet[Comparison]":
    """The comparisons that are before this person, whose tokens still open something."""
    live = Comparison.objects.filter(rater__user=user, expires_at__gt=timezone.now())
    return live.filter(study__memberships__user=user, study__memberships__role=Role.RATER)


def _require_text(token: str) -> None:
    """Http404 for what PostgreSQL would not even take for a text."""
    if "\0" in token:
        raise Http404
