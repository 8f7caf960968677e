"""A rater's own way out: taking back her consent in a study, and being erased."""

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from evalhub.studies.models import LogEntry, Membership, Role, User
from raters.models import Comparison, Enrolment, EnrolmentState, Rater, Remark, Skip
from raters.services.enrolling import lock
from raters.services.fitting import ask_for_refit
from raters.services.visiting import forget_visits

NOBODY = "an erased person"
# Lines of the log that are about a person, by the name of her account.
ABOUT_A_PERSON = ("added member", "changed role", "removed member", "came by single sign-on")


@transaction.atomic
def withdraw_consent(*, enrolment: Enrolment) -> Enrolment:
    """Take back her consent: no ranking from the next on uses her answers, and she is shown nothing more of the study.

    The answers stay stored, as what earlier rankings rest on, and so does what she is owed. Consenting again undoes it.
    """
    locked = lock(enrolment.rater, enrolment.study)
    if locked.state == EnrolmentState.WITHDRAWN:
        return locked
    locked.state, locked.withdrawn_at = EnrolmentState.WITHDRAWN, timezone.now()
    locked.save(update_fields=["state", "withdrawn_at"])
    _close_what_is_open(locked.rater, study=locked.study)
    # No actor: the log would put her name beside her number.
    LogEntry.write(study=locked.study, actor=None, verb="withdrew consent", subject=locked.rater)
    ask_for_refit(locked.study)
    return locked


@transaction.atomic
def erase(*, rater: Rater) -> bool:
    """Cut a rater from the person she is; a second call changes nothing.

    Her account goes with its name, email, sessions and API tokens, and so do the comments she wrote and the numbers
    under which a platform knows her. Her answers stay, under a number that leads to nobody: rankings rest on them.

    An account that also owns, feeds or views studies, or administers the site, is kept for that: only what makes her a
    rater is cut from it.

    Returns: whether the account is gone, True also where there was none.
    """
    rater = Rater.objects.select_for_update().get(pk=rater.pk)
    user = rater.user
    _close_what_is_open(rater)
    Remark.objects.filter(comparison__rater=rater).exclude(comment="").update(comment="")
    Skip.objects.filter(comparison__rater=rater).exclude(comment="").update(comment="")
    forget_visits(rater=rater)
    if user is None:
        return True
    rater.user = None
    rater.save(update_fields=["user"])
    Membership.objects.filter(user=user, role=Role.RATER).delete()
    gone = _delete(user)
    for enrolment in Enrolment.objects.filter(rater=rater).select_related("study"):
        LogEntry.write(study=enrolment.study, actor=None, verb="erased rater", subject=rater)
    return gone


def account_stays(user: User) -> bool:
    """Whether an account is more than a rater's, so that erasing her as a rater leaves it."""
    others = Membership.objects.filter(user=user).exclude(role=Role.RATER)
    return user.is_staff or user.is_superuser or others.exists()


def _delete(user: User) -> bool:
    """Delete an account that is a rater's only, and what else names her; whether it is gone."""
    name = str(user)
    if account_stays(user):
        return False
    key = str(user.pk)
    try:
        with transaction.atomic():
            user.delete()
    except ProtectedError:  # once she submitted or made something, and that stays hers
        return False
    LogEntry.objects.filter(subject=name, verb__in=ABOUT_A_PERSON).update(subject=NOBODY)
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == key:
            session.delete()
    return True


def _close_what_is_open(rater: Rater, **of: object) -> None:
    """Nothing that was before her can be looked at or answered any more."""
    Comparison.objects.filter(rater=rater, expires_at__gt=timezone.now() - Comparison.LATE, **of).update(
        expires_at=timezone.now() - Comparison.LATE
    )
