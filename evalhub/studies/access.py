"""The only door to a study and what belongs to it.

An actor is a user, or the token she signed with. Whoever is no member is told that there is nothing (404); a member
whose role does not reach is told so (403).
"""

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _

from evalhub.studies.models import ApiToken, Membership, Role, Study, StudyQuerySet, Submission, TokenScope, User

# What each role may do. Everybody who may see results also sees the checkpoints' names, so a rater may not.
RIGHTS: dict[str, frozenset[str]] = {
    Role.OWNER: frozenset({"see", "submit", "manage"}),
    Role.RESEARCHER: frozenset({"see", "submit"}),
    Role.VIEWER: frozenset({"see"}),
    Role.RATER: frozenset({"rate"}),
}

REASONS = {
    "see": "Seeing a study's results takes the role viewer, researcher or owner; yours is {role}.",
    "submit": "Submitting outputs takes the role researcher or owner; yours is {role}.",
    "manage": "Managing a study takes the role owner; yours is {role}.",
    "rate": _("Only raters compare, so that nobody votes on names she knows; your role is {role}."),
}


ONLY_READS = "This token may only read; make one with the scope “Read and submit” for that."
NO_STUDIES = "Creating a study takes an administrator, or an owner or researcher of another study."


@dataclass(frozen=True)
class Actor:
    """Who asks: a signed-in user and, for the API, the token that narrows what she may do."""

    user: User
    token: ApiToken | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> "Actor":
        token = getattr(request, "auth", None)
        if not isinstance(request.user, User):
            raise Http404
        return cls(request.user, token if isinstance(token, ApiToken) else None)


def visible_studies(actor: Actor) -> StudyQuerySet:
    studies = Study.objects.seen_by(actor.user)
    if actor.token and actor.token.study_id:
        studies = studies.filter(pk=actor.token.study_id)
    return studies


def tokens_of(actor: Actor) -> "QuerySet[ApiToken]":
    """Her own, as far as the token she signs with reaches: one that is bound to a study sees its like only."""
    tokens = ApiToken.objects.filter(user=actor.user).select_related("study")
    return tokens.filter(study=actor.token.study_id) if actor.token and actor.token.study_id else tokens


def get_study(actor: Actor, slug: str, right: str) -> Study:
    """The study called `slug`, if the actor has the right `see`, `submit`, `manage` or `rate` in it.

    Raises: Http404 for a stranger, PermissionDenied (with the reason) for a member without the right.
    """
    study = visible_studies(actor).filter(slug=slug).first()
    if study is None:
        raise Http404
    require(actor, study, right)
    return study


def get_submission(actor: Actor, submission_id: UUID | str, right: str) -> Submission:
    """The submission with that id, under the same rules as its study."""
    submission = Submission.objects.select_related("checkpoint__study").filter(pk=submission_id).first()
    if submission is None:
        raise Http404
    # Asked for each file of many thousands: one question fewer than by `get_study`, and the same answers.
    study = submission.checkpoint.study
    role = role_in(actor, study)
    if not role or (actor.token and actor.token.study_id not in (None, study.pk)):
        raise Http404
    _require(actor, role, right)
    return submission


def role_in(actor: Actor, study: Study) -> str:
    """The actor's role in the study; a superuser who is no member acts as an owner."""
    membership = Membership.objects.filter(study=study, user=actor.user).first()
    if membership is not None:
        return membership.role
    return Role.OWNER if actor.user.is_superuser else ""


def may_create_studies(actor: Actor) -> bool:
    """Administrators, and whoever already runs or feeds a study; a rater who came by a link may not.

    Nor may a token that is bound to one study, or only reads.
    """
    if actor.token and (actor.token.study_id or actor.token.scope == TokenScope.READ):
        return False
    roles = [Role.OWNER, Role.RESEARCHER]
    return actor.user.is_superuser or Membership.objects.filter(user=actor.user, role__in=roles).exists()


def has_right(actor: Actor, study: Study, right: str) -> bool:
    return right in RIGHTS.get(role_in(actor, study), frozenset())


def ratings_visible(actor: Actor, study: Study) -> bool:
    """Whether the actor may be told ratings, ranks, head-to-heads and what people answered.

    A study that publishes late keeps them from all but its owners until it is closed, so that nobody can vote, submit
    or withdraw by the standings. What machines score is not hidden.
    """
    return not study.hides_ratings or role_in(actor, study) == Role.OWNER


def may_withdraw(actor: Actor, submission: Submission) -> bool:
    """Owners may withdraw any checkpoint, and restore it; researchers those that they have submitted themselves."""
    role = role_in(actor, submission.checkpoint.study)
    return role == Role.OWNER or (role == Role.RESEARCHER and submission.created_by_id == actor.user.pk)


def get_submission_to_withdraw(actor: Actor, submission_id: UUID | str) -> Submission:
    """The submission with that id, if the actor may withdraw its checkpoint; errors as of `get_submission`."""
    submission = get_submission(actor, submission_id, "submit")
    if not may_withdraw(actor, submission):
        raise PermissionDenied("A checkpoint is withdrawn by whoever submitted it, or by an owner of the study.")
    return submission


def require(actor: Actor, study: Study, right: str) -> None:
    _require(actor, role_in(actor, study), right)


def _require(actor: Actor, role: str, right: str) -> None:
    if right not in RIGHTS.get(role, frozenset()):
        raise PermissionDenied(str(REASONS[right]).format(role=role or "none"))
    if actor.token and actor.token.scope == TokenScope.READ and right != "see":
        raise PermissionDenied(ONLY_READS)
