"""From a person to a rater of a study: invited, consented, active."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from evalhub.celery import enqueue
from evalhub.prepared import Prepared, Slot
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Membership, Role, Study, StudyState, User
from raters.models import Comparison, Enrolment, EnrolmentState, Rater
from raters.services.shares import require_visit_under_way

# Where comparing has begun; COMPLETE goes on when the study asks for more votes.
COMPARING = frozenset({EnrolmentState.ACTIVE, EnrolmentState.COMPLETE})
# How the reason begins of an exclusion that the study's rule for using answers decided.
BY_RULE = "rule: "
NOT_OPEN = {
    StudyState.DRAFT: gettext_lazy("This study has not begun and takes no votes now."),
    StudyState.PAUSED: gettext_lazy("This study is paused and takes no votes now."),
    StudyState.CLOSED: gettext_lazy("This study is closed and takes no votes now."),
}


_enrolled = Prepared(
    lambda: Enrolment.objects.select_related("rater", "study", "visit__recruitment").filter(
        Exists(Membership.objects.filter(study=OuterRef("study"), user=Slot("user"), role=Role.RATER)),
        study__slug=Slot("slug"),
        rater__user=Slot("user"),
    )
)
_locked = Prepared(
    lambda: (
        Enrolment.objects.select_for_update(of=("self",))
        .select_related("rater", "study", "visit__recruitment")
        .filter(rater=Slot("rater"), study=Slot("study"))
    )
)


def enrolled(*, slug: str, user: User) -> Enrolment | None:
    """The enrolment of one who may compare in that study and has come to it before: one query, as every vote asks."""
    return _enrolled.first(slug=slug, user=user.pk)


def enrol(*, study: Study, user: User) -> Enrolment:
    """The user's enrolment in the study, made now if this is the first time."""
    rater = Rater.objects.get_or_create(user=user)[0]
    enrolments = Enrolment.objects.select_related("rater", "study")
    return enrolments.get_or_create(rater=rater, study=study)[0]


def needs_consent(enrolment: Enrolment) -> bool:
    """Whether she has yet to agree to the text as it stands now, or again."""
    study = enrolment.study
    unread = bool(study.consent) and enrolment.consent_version != study.consent_version
    return unread or enrolment.state == EnrolmentState.WITHDRAWN


def consent(*, enrolment: Enrolment, version: int) -> Enrolment:
    """Record that she agrees to this version of the consent text. Conflict when it is no longer the current one.

    Who had taken her consent back begins anew, and her answers from before are used again.
    """
    with transaction.atomic():
        locked = lock(enrolment.rater, enrolment.study)
        if version != locked.study.consent_version:
            raise Conflict(_("The consent text has changed since you opened it; please read it again."))
        comes_back = locked.state == EnrolmentState.WITHDRAWN
        if locked.consent_version != version or comes_back:
            locked.consent_version, locked.consented_at = version, timezone.now()
        if locked.state == EnrolmentState.INVITED or comes_back:
            locked.state, locked.withdrawn_at = EnrolmentState.CONSENTED, None
        locked.save(update_fields=["consent_version", "consented_at", "withdrawn_at", "state"])
        if comes_back:
            LogEntry.write(study=locked.study, actor=None, verb="consented again", subject=locked.rater)
            enqueue("raters.refit", str(locked.study.pk))
    return locked


def agree_to_see(*, enrolment: Enrolment) -> Enrolment:
    """Record that she wants to see what a sensitive study shows, unblurred; the first time counts."""
    with transaction.atomic():
        locked = lock(enrolment.rater, enrolment.study)
        if locked.agreed_to_see_at is None:
            locked.agreed_to_see_at = timezone.now()
            locked.save(update_fields=["agreed_to_see_at"])
    return locked


@transaction.atomic
def set_exclusion(*, enrolment: Enrolment, reason: str, actor: User) -> Enrolment:
    """Leave a rater's votes out of the study's rankings for the given reason; an empty one lets them in again.

    Her votes stay as they are, and so does what she is owed. Nothing happens when it is so already. Who lets in again
    whom a rule had left out overrules it: the rule does not judge this rater any more.
    """
    locked = lock(enrolment.rater, enrolment.study)
    if locked.exclusion_reason == reason.strip():
        return locked
    if reason.strip().startswith(BY_RULE):
        raise Refusal(f"A reason that begins with “{BY_RULE.strip()}” is the rule's own; say it in other words.")
    if not reason.strip() and locked.exclusion_reason.startswith(BY_RULE):
        locked.rule_waived_at = timezone.now()
    elif reason.strip():
        locked.rule_waived_at = None
    before, locked.exclusion_reason = locked.exclusion_reason, reason.strip()
    locked.excluded_at = (locked.excluded_at or timezone.now()) if locked.exclusion_reason else None
    locked.save(update_fields=["excluded_at", "exclusion_reason", "rule_waived_at"])
    verb = "excluded rater" if locked.exclusion_reason else "readmitted rater"
    told = {"reason": locked.exclusion_reason} if locked.exclusion_reason else {}
    if before:
        told["before"] = before
    LogEntry.write(study=locked.study, actor=actor, verb=verb, subject=locked.rater, **told)
    enqueue("raters.refit", str(locked.study.pk))
    return locked


@transaction.atomic
def set_group(*, enrolment: Enrolment, group: str, actor: User) -> Enrolment:
    """Say where a rater comes from, for rankings by group; an empty group is none. Refusal for a name too long."""
    group, longest = " ".join(group.split()), Enrolment._meta.get_field("group").max_length
    if longest is not None and len(group) > longest:
        raise Refusal(f"A group's name has at most {longest} characters, got {len(group)}; choose a shorter one.")
    locked = lock(enrolment.rater, enrolment.study)
    if locked.group != group:
        before, locked.group = locked.group, group
        locked.save(update_fields=["group"])
        told = {"before": before, "group": group}
        LogEntry.write(study=locked.study, actor=actor, verb="grouped rater", subject=locked.rater, **told)
    return locked


def lock(rater: Rater, study: Study) -> Enrolment:
    """Her enrolment, locked until the transaction ends: what her tabs do at once happens one after the other.

    Conflict when she is not enrolled.
    """
    enrolment = _locked.first(rater=rater.pk, study=study.pk)
    if enrolment is None:
        raise Conflict(_("Comparing begins on the study's page; open it first."))
    return enrolment


def lock_comparing(rater: Rater, study: Study) -> Enrolment:
    """As `lock`, for a rater who may compare now; Conflict when she may not."""
    enrolment = lock(rater, study)
    require_comparing(enrolment)
    return enrolment


def require_comparing(enrolment: Enrolment) -> None:
    """Conflict when the study takes no votes now, or she has yet to begin or to consent again."""
    _require_state(enrolment, COMPARING)


def require_answering(enrolment: Enrolment, comparison: Comparison) -> None:
    """As `require_comparing`, for an answer to one comparison: practice and qualification come before the comparing,
    and nothing comes after a visit's end."""
    require_visit_under_way(enrolment)
    _require_state(enrolment, {EnrolmentState.TRAINING} if comparison.is_lesson else COMPARING)


def _require_state(enrolment: Enrolment, states: Collection[str]) -> None:
    if not enrolment.study.takes_votes:
        raise Conflict(str(NOT_OPEN[StudyState(enrolment.study.state)]))
    if enrolment.state not in states or needs_consent(enrolment):
        raise Conflict(_("Comparing begins on the study's page; open it first."))
