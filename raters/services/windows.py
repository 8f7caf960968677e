"""Whether a rater's browser window is as large as the study asks for."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from evalhub.problems import Refusal
from raters.models import Enrolment, RaterRules
from raters.services.enrolling import lock
from raters.services.rules import rules_of

VALID = timedelta(hours=12)  # tomorrow she may sit at another screen
LARGEST = 100_000  # CSS pixels; no window is larger


def needs_check(enrolment: Enrolment, rules: RaterRules) -> bool:
    """Whether her window has yet to be measured, or again, and be large enough."""
    if not (rules.least_width or rules.least_height):
        return False
    measured_at = enrolment.window_checked_at
    return measured_at is None or measured_at < timezone.now() - VALID or not _fits(enrolment, rules)


@transaction.atomic
def measure(*, enrolment: Enrolment, width: int | None, height: int | None) -> Enrolment:
    """Keep the size that her browser tells, in CSS pixels. Refusal, with what came, when it is too small or none."""
    locked = lock(enrolment.rater, enrolment.study)
    rules = rules_of(locked.study)
    if not (width and height and width <= LARGEST and height <= LARGEST):
        raise Refusal(_("Your browser did not say how large its window is; turn JavaScript on and check again."))
    locked.window_width, locked.window_height = width, height
    if not _fits(locked, rules):
        facts = {
            "least_width": rules.least_width or 0,
            "least_height": rules.least_height or 0,
            "width": width,
            "height": height,
        }
        raise Refusal(
            _(
                "This study needs a window of at least %(least_width)s × %(least_height)s pixels; yours has "
                "%(width)s × %(height)s. Make it larger, or set the browser's zoom lower, and check again."
            )
            % facts
        )
    locked.window_checked_at = timezone.now()
    locked.save(update_fields=["window_width", "window_height", "window_checked_at"])
    return locked


def _fits(enrolment: Enrolment, rules: RaterRules) -> bool:
    width, height = enrolment.window_width or 0, enrolment.window_height or 0
    return width >= (rules.least_width or 0) and height >= (rules.least_height or 0)
