"""What somebody sees whose visit has ended, and where she goes from there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from raters.models import Platform, Visit, VisitOutcome
from raters.platforms import mturk, prolific
from raters.services.shares import answered_in
from raters.services.visiting import code_earned


def farewell(request: HttpRequest, visit: Visit, *, at_once: bool = False) -> HttpResponse:
    """The last page of a visit. It alone holds a code, for the visit has earned it.

    Args: at_once: whether a script sends her on without being asked, since she has just asked.
    """
    code = code_earned(visit)
    context: dict[str, object] = {"visit": visit, "study": visit.recruitment.study, "code": code, "at_once": at_once}
    if visit.recruitment.platform == Platform.PROLIFIC and code:
        context["way_back"] = prolific.way_back(code)
    if visit.recruitment.platform == Platform.MTURK and visit.outcome == VisitOutcome.COMPLETED:
        context |= {"submit_to": mturk.submission_address(visit.submit_to), "facts": _facts(visit, code)}
    return render(request, "raters/left.html", context)


def _facts(visit: Visit, code: str) -> dict[str, object]:
    """What Mechanical Turk keeps with the assignment, for the owner to compare with the visits listed here."""
    facts = {
        "assignmentId": visit.session,
        "visit": visit.key,
        "outcome": visit.outcome,
        "answers": answered_in(visit),
    }
    return facts | ({"code": code} if code else {})
