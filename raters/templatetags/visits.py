"""What raters' pages say to whoever came by a link or from a platform."""

from typing import Any

from django import template

from raters.models import Comparison, Visit
from raters.services.resume_codes import resume_code
from raters.services.shares import COUNTED, answered_in

register = template.Library()
register.filter("resume_code", lambda visit: resume_code(visit) if isinstance(visit, Visit) else "")


@register.simple_tag(takes_context=True)
def progress(context: dict[str, Any]) -> dict[str, int | None]:
    """`done`, of what `share` if any: her visit's, when whoever sent her asks for a number, else the study's.

    Needs: study, done in all of it, request.
    """
    request, done = context.get("request"), int(context.get("done") or 0)
    visit = getattr(request, "visit", None)
    if visit is None or visit.recruitment.comparisons is None:
        return {"done": done, "share": context["study"].votes_per_rater}
    return {"done": max(0, done - _before(request, visit)), "share": visit.recruitment.comparisons}


def _before(request: Any, visit: Visit) -> int:
    """What she answered before this visit began; asked once a request, which may hold several desks."""
    kept = vars(request)
    if "answered_before_visit" not in kept:
        own = Comparison.objects.answered().filter(
            COUNTED, study=visit.recruitment.study_id, rater=visit.enrolment.rater_id
        )
        kept["answered_before_visit"] = own.count() - answered_in(visit)
    before: int = kept["answered_before_visit"]
    return before
