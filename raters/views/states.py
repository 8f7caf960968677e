"""Where a rater stands in a study, and the page that shows it. Nothing here may say which checkpoint made a side."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from django.utils.crypto import salted_hmac

from evalhub.studies.words import as_html
from raters import services
from raters.access import given_copies
from raters.models import Comparison, Enrolment, EnrolmentState
from raters.services import telling, training, windows
from raters.services.enrolling import COMPARING
from raters.services.limits import allowance

COMPARE = "raters/compare.html"
GIVEN_KEYS = {"source": "I", "mask": "K", "reference": "R"}


def page_of(enrolment: Enrolment, context: dict[str, Any]) -> str:
    """Which template shows the rater's state; adds to the context what that one needs."""
    study = enrolment.study
    if not study.takes_votes:
        return "raters/not_open.html"
    if enrolment.state == EnrolmentState.SCREENED_OUT:
        context["result"] = training.result_of(enrolment)
        return "raters/screened_out.html"
    if services.needs_consent(enrolment):
        context |= {"text": as_html(study.consent), "enrolment": enrolment}
        return "raters/consent.html"
    rules = services.rules_of(study)
    if windows.needs_check(enrolment, rules):
        context["rules"] = rules
        return "raters/screen.html"
    if enrolment.state == EnrolmentState.TRAINING:
        return _lesson(enrolment, context)
    if enrolment.state == EnrolmentState.QUALIFIED:
        context["result"] = training.result_of(enrolment)
        return "raters/qualification.html"
    if enrolment.state not in COMPARING:
        questions = questions_of(enrolment)
        taken = {choice.value for question in questions for choice in question["choices"]}
        context |= {"text": as_html(study.instructions), "criteria": questions, "answers": taken}
        context |= {"coming": telling.what_comes(study), "paid": telling.what_is_paid(study)}
        return "raters/instructions.html"
    comparison = services.next_comparison(study=study, rater=enrolment.rater)
    last = services.last_done(enrolment.rater, study)
    context |= {"done": services.answered_by(enrolment.rater, study), "last": last.token if last else ""}
    context["undo_revision"] = services.next_revision(last) if last else ""
    if comparison is None:
        context["left"] = allowance(enrolment)
        return "raters/done.html"
    context |= pair(enrolment, comparison)
    return COMPARE


def _lesson(enrolment: Enrolment, context: dict[str, Any]) -> str:
    """Practice and qualification: what is to be explained, the pair to answer, or how it ended."""
    explained = training.to_explain(enrolment)
    if explained is not None:
        context |= explanation(explained) | {"covered": _covered(enrolment)}
        return "raters/training.html"
    following = training.next_lesson(enrolment)
    if following is not None:
        comparison, lesson = following
        context |= {"lesson": lesson, "done": lesson.number - 1, "last": ""} | pair(enrolment, comparison)
        return COMPARE
    if training.outstanding(enrolment):
        context["done"] = 0  # their pictures are still being made
        return "raters/done.html"
    settled, context["result"] = training.settle(enrolment=enrolment)
    return "raters/screened_out.html" if settled.state == EnrolmentState.SCREENED_OUT else "raters/qualification.html"


def _covered(enrolment: Enrolment) -> bool:
    """Whether what a sensitive study shows stays blurred for her."""
    return enrolment.study.is_sensitive and enrolment.agreed_to_see_at is None


def explanation(comparison: Comparison) -> dict[str, Any]:
    """What is said about an answer in practice, beside both sides."""
    assert comparison.gold is not None
    asked = {} if comparison.gold.criterion is None else {"criterion": comparison.gold.criterion}
    given = comparison.votes.filter(**asked).latest_revisions()
    left, right = addresses(comparison)
    return {
        "comparison": comparison,
        "canvas": comparison.left_copy,
        "sides": [
            {"place": place, "address": address, "is_better": comparison.expected == place}
            for place, address in (("left", left), ("right", right))
        ],
        "right": training.was_right(comparison),
        "given": set(given.values_list("choice", flat=True)),
        "criterion": comparison.gold.criterion,
        "text": as_html(comparison.gold.explanation),
    }


def pair(enrolment: Enrolment, comparison: Comparison) -> dict[str, Any]:
    """What a desk needs to show one comparison and take its answers."""
    return pairs(enrolment, [comparison])[0]


def pairs(enrolment: Enrolment, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The same for several; what they have in common is read once."""
    questions, revisions = questions_of(enrolment), services.next_revisions(comparisons)
    return [_pair(enrolment, one, revisions[one.pk], questions) for one in comparisons]


def _pair(
    enrolment: Enrolment, comparison: Comparison, revision: int, questions: list[dict[str, Any]]
) -> dict[str, Any]:
    left, right = addresses(comparison)
    reasons, remark = services.said_before(comparison) if revision > 1 else ([], None)
    return {
        "comparison": comparison,
        "left": left,
        "right": right,
        "canvas": comparison.left_copy,
        "attachments": attachments(comparison),
        "revision": revision,
        "reasons": reasons,
        "remark": remark,
        "region": services.region_text(remark),
        "covered": _covered(enrolment),
        "criteria": questions,
        "takes": {choice.value for question in questions for choice in question["choices"]},
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
        for criterion in services.criteria_of(enrolment.study)
    ]


def addresses(comparison: Comparison) -> list[str]:
    return [reverse("shown", args=[token]) for token in (comparison.left_token, comparison.right_token)]


def desk_name(enrolment: Enrolment) -> str:
    """Under which the browser keeps unsent answers: this rater's in this study, should two share a computer."""
    return salted_hmac("raters.desk", str(enrolment.pk)).hexdigest()[:16]
