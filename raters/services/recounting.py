"""What is counted beside the comparisons, counted anew."""

from django.db import transaction
from django.db.models import Count

from evalhub.studies.models import Study
from raters.models import Comparison, Control, Enrolment, PairCount


def recount(*, study: Study) -> None:
    """Count every pair's comparisons and every rater's answers from the comparisons themselves, while people go on."""
    PairCount.objects.recount(study)
    with transaction.atomic():
        # An answer changes the count of an enrolment that it has locked, so none can come between these statements.
        enrolments = list(Enrolment.objects.select_for_update().filter(study=study).order_by("pk"))
        answered = Comparison.objects.answered().filter(study=study, control=Control.NONE).order_by()
        answers = dict(answered.values_list("rater").annotate(Count("id")))
        for enrolment in enrolments:
            enrolment.answers = answers.get(enrolment.rater_id, 0)
        Enrolment.objects.bulk_update(enrolments, ["answers"], batch_size=1_000)
