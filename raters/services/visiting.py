"""People whom a link or a platform sent: they come without accounts, and leave with what they earned."""

import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Role, StudyState, User
from evalhub.studies.services import add_member, create_nameless_rater
from raters import locks
from raters.models import Enrolment, EnrolmentState, Rater, Recruitment, Visit, VisitOutcome
from raters.platforms.arrivals import Arrival
from raters.services import resume_codes
from raters.services.enrolling import COMPARING, consent, enrol, lock, needs_consent
from raters.services.offering import next_comparison
from raters.services.shares import answered_in


@transaction.atomic
def arrive(*, recruitment: Recruitment, arrival: Arrival, user: User | None = None) -> Visit:
    """The visit of whoever comes, made now if she has not come so before. The same person is the same rater.

    Args:
        user: whose account it is to be, if she is signed in; otherwise she gets one without a name or password.
    Raises: Refusal when this session is somebody else's; Conflict when the link is closed, the study takes no votes,
        or her part of this study of the platform's has ended in another session.
    """
    locks.one_arrival(recruitment.study, arrival.participant)
    visit = find_visit(recruitment=recruitment, arrival=arrival)
    if visit is None:
        _require_open(recruitment)
        visit = Visit.objects.create(
            recruitment=recruitment,
            enrolment=_enrolment_of(recruitment, arrival, user),
            participant=arrival.participant,
            session=arrival.session,
            external_study=arrival.study,
            submit_to=arrival.submit_to,
        )
    Enrolment.objects.filter(pk=visit.enrolment_id).update(visit=visit)
    return visit


def find_visit(*, recruitment: Recruitment, arrival: Arrival) -> Visit | None:
    """Her visit if she has come so before. Refusal when the session is known as another person's."""
    visits = recruitment.visits.select_related("recruitment__study", "enrolment__rater__user")
    visit = visits.filter(participant=arrival.participant, session=arrival.session).first()
    if visit is None and arrival.session and recruitment.visits.filter(session=arrival.session).exists():
        raise Refusal(
            _("The session in this address belongs to another person; open the study from %(platform)s.")
            % {"platform": recruitment.get_platform_display()}
        )
    return visit


@transaction.atomic
def join(*, recruitment: Recruitment, version: int | None, user: User | None = None) -> Visit:
    """Take part by an open link, having agreed to that version of the consent text if the study has one."""
    known = recruitment.visits.filter(enrolment__rater__user=user).first() if user is not None else None
    arrival = Arrival(known.participant if known else resume_codes.new_participant())
    visit = arrive(recruitment=recruitment, arrival=arrival, user=user)
    if needs_consent(visit.enrolment):
        if version is None:
            raise Refusal(_("To take part, tick that you have read the text; otherwise simply leave."))
        consent(enrolment=visit.enrolment, version=version)
    return visit


def resume(*, recruitment: Recruitment, code: str) -> Visit:
    """The visit that a noted code belongs to. Refusal when it belongs to none of this link's."""
    participant = resume_codes.participant_in(code)
    visits = recruitment.visits.select_related("recruitment__study", "enrolment__rater__user")
    visit = visits.filter(participant=participant).first()
    genuine = constant_time_compare(resume_codes.code_of(recruitment, participant), resume_codes.as_written(code))
    if visit is None or not genuine:
        raise Refusal(_("Nobody came by this link with that code; check it, letter by letter, or begin anew."))
    return visit


@transaction.atomic
def leave(*, visit: Visit) -> Visit:
    """End the visit with what has become of it; of one that has ended, what became of it then.

    Raises: Conflict while there is something left to do in it.
    """
    enrolment = lock(visit.enrolment.rater, visit.enrolment.study)
    locked = Visit.objects.select_for_update(of=("self",)).select_related("recruitment", "enrolment").get(pk=visit.pk)
    if locked.outcome == VisitOutcome.OPEN:
        locked.outcome, locked.ended_at = _outcome(locked, enrolment), timezone.now()
        locked.save(update_fields=["outcome", "ended_at"])
    return locked


def code_earned(visit: Visit) -> str:
    """What the platform is told about an ended visit; empty where the owner gave no code for how it ended."""
    recruitment = visit.recruitment
    codes: dict[str, str] = {
        VisitOutcome.COMPLETED: recruitment.completion_code,
        VisitOutcome.SCREENED_OUT: recruitment.screened_out_code,
        VisitOutcome.NO_CONSENT: recruitment.no_consent_code,
    }
    return codes.get(visit.outcome, "")


@transaction.atomic
def forget_visits(*, rater: Rater) -> None:
    """Random numbers take the place of those by which platforms know her; when she came and what she earned stays."""
    for visit in Visit.objects.select_for_update().filter(enrolment__rater=rater):
        visit.participant = f"erased-{uuid.uuid4().hex}"
        visit.session = visit.external_study = visit.submit_to = ""
        visit.save(update_fields=["participant", "session", "external_study", "submit_to"])


def _require_open(recruitment: Recruitment) -> None:
    if recruitment.closed_at is not None:
        raise Conflict(_("This link takes nobody new any more; thank you for coming."))
    if not recruitment.study.takes_votes:
        raise Conflict(_("This study takes no answers at the moment, so there is nothing to do here yet."))


def _enrolment_of(recruitment: Recruitment, arrival: Arrival, user: User | None) -> Enrolment:
    study, platform = recruitment.study, recruitment.platform
    known = Visit.objects.filter(
        recruitment__study=study, recruitment__platform=platform, participant=arrival.participant
    ).select_related("enrolment__rater__user", "enrolment__study")
    ended = known.filter(recruitment=recruitment, external_study=arrival.study).exclude(outcome=VisitOutcome.OPEN)
    if ended.exists():
        raise Conflict(
            _("You have finished your part of this study in another session; each person takes part in it once.")
        )
    if found := known.first():
        return found.enrolment
    if user is None:
        user = create_nameless_rater(study=study)
    elif not study.memberships.filter(user=user).exists():
        add_member(study=study, user=user, role=Role.RATER, actor=user)
    enrolment = enrol(study=study, user=user)
    if not enrolment.group:
        enrolment.group = recruitment.name
        enrolment.save(update_fields=["group"])
    return enrolment


def _outcome(visit: Visit, enrolment: Enrolment) -> VisitOutcome:
    """How the visit ends if it ends now."""
    study, share, done = enrolment.study, visit.recruitment.comparisons, answered_in(visit)
    if enrolment.state == EnrolmentState.SCREENED_OUT:
        return VisitOutcome.SCREENED_OUT
    if share is not None and done >= share:
        return VisitOutcome.COMPLETED
    if enrolment.state == EnrolmentState.WITHDRAWN or (study.takes_votes and needs_consent(enrolment)):
        return VisitOutcome.NO_CONSENT
    over = study.state == StudyState.CLOSED or (
        study.takes_votes and enrolment.state in COMPARING and _nothing_left(enrolment)
    )
    if over and done:
        return VisitOutcome.COMPLETED
    if over:
        raise Conflict(_("There was nothing to compare for you, so there is nothing to send; please come back later."))
    if share is None:
        raise Conflict(_("There is something left to compare; go on, or simply leave and come back later."))
    raise Conflict(
        ngettext(
            "You have answered %(done)d of %(share)d pair; go on, or simply leave and come back later.",
            "You have answered %(done)d of %(share)d pairs; go on, or simply leave and come back later.",
            share,
        )
        % {"done": done, "share": share}
    )


def _nothing_left(enrolment: Enrolment) -> bool:
    return next_comparison(study=enrolment.study, rater=enrolment.rater) is None
