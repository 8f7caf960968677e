"""Who may do what in a study: members, invite links, accounts made by a link, API tokens."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils.translation import gettext as _
from knox.settings import knox_settings

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import ApiToken, Invite, LogEntry, Membership, Role, Study, TokenScope, User

# What a role lets a person do grows along this list; a link never takes rights away.
STRENGTH = [Role.RATER, Role.VIEWER, Role.RESEARCHER, Role.OWNER]


@transaction.atomic
def add_member(*, study: Study, user: User, role: str, actor: User | None) -> Membership:
    """Make a person a member. Conflict when she is one already."""
    role = _known(role)
    try:
        with transaction.atomic():
            membership = Membership.objects.create(study=study, user=user, role=role)
    except IntegrityError:
        raise Conflict(f"{user} is a member of this study already; change her role instead.") from None
    LogEntry.write(study=study, actor=actor, verb="added member", subject=user, role=role)
    return membership


@transaction.atomic
def change_role(*, study: Study, user: User, role: str, actor: User) -> Membership:
    """Give a member another role. Conflict when she is no member, or is the last owner."""
    role = _known(role)
    membership = _membership(study, user)
    if membership.role != role:
        before, membership.role = membership.role, role
        _keep_an_owner(membership, before)
        membership.save(update_fields=["role"])
        LogEntry.write(study=study, actor=actor, verb="changed role", subject=user, before=before, role=role)
    return membership


@transaction.atomic
def remove_member(*, study: Study, user: User, actor: User) -> None:
    """End a membership. What she did stays. Conflict when she is no member, or is the last owner."""
    membership = _membership(study, user)
    _keep_an_owner(membership, membership.role, leaves=True)
    membership.delete()
    LogEntry.write(study=study, actor=actor, verb="removed member", subject=user, role=membership.role)


@transaction.atomic
def create_invite(
    *, study: Study, role: str, actor: User, max_uses: int | None = None, expires_at: datetime | None = None
) -> tuple[Invite, str]:
    """A link that makes members. Returns the invite and its token, which is not kept and so is shown once."""
    role = _known(role)
    if max_uses is not None and max_uses < 1:
        raise Refusal(f"An invite is for at least one person; got {max_uses}.")
    token = secrets.token_urlsafe(24)
    invite = Invite.objects.create(
        study=study, role=role, digest=_digest(token), max_uses=max_uses, expires_at=expires_at, created_by=actor
    )
    told = {"role": role, "max_uses": max_uses, "until": _day(expires_at)}
    LogEntry.write(
        study=study,
        actor=actor,
        verb="created invite",
        subject=f"invite {invite.pk}",
        **{name: value for name, value in told.items() if value},
    )
    return invite, token


def find_invite(*, token: str) -> Invite:
    """The usable invite behind a link. Refusal when it is unknown, expired, revoked or used up."""
    invite = Invite.objects.usable().select_related("study").filter(digest=_digest(token)).first()
    if invite is None:
        raise Refusal(_("This invite link is not valid, or no longer so; ask whoever sent it for a new one."))
    return invite


@transaction.atomic
def accept_invite(*, token: str, user: User) -> Membership:
    """Make the user a member as the link says. A role that is as strong or stronger stays, and uses nothing up.

    Raises: Refusal when the link is not valid, or is used up by others in the same moment.
    """
    invite = find_invite(token=token)
    membership = Membership.objects.select_for_update().filter(study=invite.study, user=user).first()
    if membership is not None and STRENGTH.index(Role(membership.role)) >= STRENGTH.index(Role(invite.role)):
        return membership
    # One conditional update: the last place goes to one of those who try at once.
    if not Invite.objects.usable().filter(pk=invite.pk).update(uses=F("uses") + 1):
        raise Refusal(_("This invite link has just been used up; ask whoever sent it for a new one."))
    told = {"role": invite.role} | ({"before": membership.role} if membership is not None else {})
    membership = Membership.objects.update_or_create(study=invite.study, user=user, defaults={"role": invite.role})[0]
    LogEntry.write(study=invite.study, actor=user, verb="accepted invite", subject=f"invite {invite.pk}", **told)
    return membership


@transaction.atomic
def create_first_administrator(*, username: str, password: str, email: str = "") -> User:
    """The account that a new site's first visitor makes. Conflict when the site has an account already."""
    with connection.cursor() as cursor:  # one at a time: there is no row yet that could be locked
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('evalhub first administrator'))")
    if User.objects.exists():
        raise Conflict("Somebody set this site up already; ask her for an account.")
    user = _named_user(username, password, email)
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser"])
    LogEntry.write(study=None, actor=user, verb="set up site", subject=user)
    return user


@transaction.atomic
def create_user_by_invite(*, token: str, username: str = "", password: str = "", email: str = "") -> User:
    """An account for somebody who opened a link without having one, already a member of the study.

    A rater needs no name and no password: she gets a random name and stays signed in by her session.
    Raises: Refusal when the link is not valid, or a role beyond rater comes without a name and a good password.
    """
    invite = find_invite(token=token)
    if username or password or invite.role != Role.RATER:
        user = _named_user(username, password, email)
    else:
        user = _nameless_user()
    accept_invite(token=token, user=user)
    return user


@transaction.atomic
def create_nameless_rater(*, study: Study) -> User:
    """An account for somebody whom an open link or a platform sent: a rater of this study, and nothing besides."""
    user = _nameless_user()
    Membership.objects.create(study=study, user=user, role=Role.RATER)
    return user


@transaction.atomic
def revoke_invite(*, invite: Invite, actor: User, at: datetime) -> None:
    """Make a link useless from now on. Whoever came by it stays."""
    if Invite.objects.filter(pk=invite.pk, revoked_at=None).update(revoked_at=at):
        LogEntry.write(study=invite.study, actor=actor, verb="revoked invite", subject=f"invite {invite.pk}")


@transaction.atomic
def create_token(
    *,
    user: User,
    name: str,
    scope: str = TokenScope.SUBMIT,
    study: Study | None = None,
    expiry: timedelta | None = None,
) -> tuple[ApiToken, str]:
    """A key for the API. Returns it and its secret, of which only a hash is kept.

    Args:
        scope: `read` or `submit`.
        study: if given, the key opens this study only.
        expiry: how long it works; as long as the site's setting says by default.
    """
    if scope not in TokenScope.values:
        raise Refusal(f"A token's scope is one of {', '.join(TokenScope.values)}; got “{scope}”.")
    made: tuple[ApiToken, str] = ApiToken.objects.create(
        user=user, name=name.strip()[:80], scope=scope, study=study, expiry=expiry or knox_settings.TOKEN_TTL
    )
    told = {"scope": scope, "until": _day(made[0].expiry)}
    LogEntry.write(study=study, actor=user, verb="made token", subject=made[0].name, **told)
    return made


@transaction.atomic
def revoke_token(*, token: ApiToken) -> None:
    """Make a token useless. Only whoever made it does so."""
    LogEntry.write(study=token.study, actor=token.user, verb="revoked token", subject=token.name, scope=token.scope)
    token.delete()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}" if moment else ""


def _known(role: str) -> Role:
    if role not in Role.values:
        raise Refusal(f"A role is one of {', '.join(Role.values)}; got “{role}”.")
    return Role(role)


def _membership(study: Study, user: User) -> Membership:
    # All rows of the study are locked: two owners who remove each other at once must not both succeed.
    members = {member.user_id: member for member in Membership.objects.select_for_update().filter(study=study)}
    if user.pk not in members:
        raise Conflict(f"{user} is no member of this study.")
    return members[user.pk]


def _keep_an_owner(membership: Membership, before: str, *, leaves: bool = False) -> None:
    if before != Role.OWNER or (membership.role == Role.OWNER and not leaves):
        return
    others = Membership.objects.filter(study=membership.study_id, role=Role.OWNER).exclude(pk=membership.pk)
    if not others.exists():
        raise Conflict("A study needs an owner; make somebody else owner first.")


def _nameless_user() -> User:
    user = User(username=f"rater-{secrets.token_hex(5)}")
    user.set_unusable_password()
    user.save()
    return user


def _named_user(username: str, password: str, email: str) -> User:
    user = User(username=User.normalize_username(username), email=email)
    try:
        user.full_clean(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise Refusal(
            _("An account needs a name and a password that are fit: %(why)s") % {"why": " ".join(error.messages)}
        ) from None
    user.set_password(password)
    user.save()
    return user
