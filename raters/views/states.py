"""Where a rater stands in a study, and the page that shows it. Nothing here may say which checkpoint made a side."""

from typing import Any

from django.urls import reverse
from django.utils.crypto import salted_hmac

from raters import services
from raters.access import given_copies
from raters.models import Comparison, Enrolment, EnrolmentState
from raters.services.enrolling import COMPARING
from raters.services.limits import allowance
from raters.words import as_html

COMPARE = "raters/compare.html"
GIVEN_KEYS = {"source": "I", "mask": "K", "reference": "R"}


def page_of(enrolment: Enrolment, context: dict[str, Any]) -> str:
    """Which template shows the rater's state; adds to the context what that one needs."""
    study = enrolment.study
    if not study.takes_votes:
        return "raters/not_open.html"
    if enrolment.state == EnrolmentState.SCREENED_OUT:
        return "raters/done.html"
    if services.needs_consent(enrolment):
        context["text"] = as_html(study.consent)
        return "raters/consent.html"
    if enrolment.state not in COMPARING:
        questions = questions_of(enrolment)
        taken = {choice.value for question in questions for choice in question["choices"]}
        context |= {"text": as_html(study.instructions), "criteria": questions, "answers": taken}
        return "raters/instructions.html"
    comparison = services.next_comparison(study=study, rater=enrolment.rater)
    last = services.last_answered(enrolment.rater, study)
    context |= {"done": services.answered_by(enrolment.rater, study), "last": last.token if last else ""}
    if comparison is None:
        context["left"] = allowance(enrolment)
        return "raters/done.html"
    context |= pair(enrolment, comparison)
    return COMPARE


def pair(enrolment: Enrolment, comparison: Comparison) -> dict[str, Any]:
    """What a desk needs to show one comparison and take its answers."""
    left, right = addresses(comparison)
    return {
        "comparison": comparison,
        "left": left,
        "right": right,
        "canvas": comparison.left_copy,
        "attachments": attachments(comparison),
        "revision": services.next_revision(comparison),
        "criteria": questions_of(enrolment),
        "desk": desk_name(enrolment),
    }


def attachments(comparison: Comparison) -> list[dict[str, Any]]:
    """What the prompt gives: source, mask, reference, those it has; where each is, and which key shows it."""
    return [
        {
            "name": name,
            "address": reverse("given", args=[comparison.token, name]),
            "key": GIVEN_KEYS[name],
            "tiled": copy.is_tiled,
        }
        for name, copy in given_copies(comparison).items()
    ]


def questions_of(enrolment: Enrolment) -> list[dict[str, Any]]:
    return [
        {"criterion": criterion, "choices": services.choices_of(criterion)}
        for criterion in enrolment.study.criteria.all()
    ]


def addresses(comparison: Comparison) -> list[str]:
    return [reverse("shown", args=[token]) for token in (comparison.left_token, comparison.right_token)]


def desk_name(enrolment: Enrolment) -> str:
    """Under which the browser keeps unsent answers: this rater's in this study, should two share a computer."""
    return salted_hmac("raters.desk", str(enrolment.pk)).hexdigest()[:16]
