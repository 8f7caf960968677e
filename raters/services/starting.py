"""From the instructions to the first comparison, by way of practice and qualification where the study has them."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from evalhub.problems import Conflict
from evalhub.studies.models import Study
from raters.models import Enrolment, EnrolmentState, Rater
from raters.services.enrolling import consent, lock, needs_consent
from raters.services.training import uses_asked

READ = frozenset({EnrolmentState.INVITED, EnrolmentState.CONSENTED})


def start(*, enrolment: Enrolment, trained: bool = False) -> Enrolment:
    """Begin, after consent and instructions: with practice and qualification, or to compare where there are none or
    she has done them. Conflict without consent.

    Who was comparing before an owner asked for either goes on comparing.

    Args: trained: she needs neither.
    """
    with transaction.atomic():
        locked = lock(enrolment.rater, enrolment.study)
        if needs_consent(locked):
            raise Conflict(_("Please read the consent text and agree to it first."))
        if locked.consented_at is None:  # a study that asks for none: coming here is the agreement
            locked.consent_version, locked.consented_at = locked.study.consent_version, timezone.now()
        if locked.state in READ and not trained and uses_asked(locked.study):
            locked.state = EnrolmentState.TRAINING
        elif locked.state in READ | {EnrolmentState.QUALIFIED}:
            locked.state = EnrolmentState.ACTIVE
        locked.save(update_fields=["consent_version", "consented_at", "state"])
    return locked


def enrol_simulated(*, study: Study) -> Enrolment:
    """A new simulated rater, who has no account and is ready to compare.

    She judges by a rule, so practice teaches her nothing and a qualification would choose among seeds; she skips both.
    """
    with transaction.atomic():
        rater = Rater.objects.create(simulated=True)
        enrolment = Enrolment.objects.create(rater=rater, study=study)
        consent(enrolment=enrolment, version=study.consent_version)
        return start(enrolment=enrolment, trained=True)
