"""Known answers and rules, for the tests that need them."""

from decimal import Decimal
from typing import Any

from evalhub.studies.models import Membership, Role, Sample, User
from raters import services
from raters.models import Comparison, Enrolment, Gold
from raters.services import golds, training
from raters.services.rules import change_rules
from tests.raters.conftest import Desk, cast, owner_of


def sample(desk: Desk, contestant: int, prompt: int) -> Sample:
    return Sample.objects.get(checkpoint=desk.checkpoints[contestant], prompt=desk.prompts[prompt])


def gold(desk: Desk, use: str, prompt: int, better: int = 2, worse: int = 0, **more: Any) -> Gold:
    return golds.add_gold(
        study=desk.study,
        better=sample(desk, better, prompt),
        worse=sample(desk, worse, prompt),
        use=use,
        actor=owner_of(desk),
        **more,
    )


def rule(desk: Desk, **values: Any) -> None:
    pay = values.get("pay_per_comparison")
    if pay is not None:
        values["pay_per_comparison"] = Decimal(pay)
    change_rules(study=desk.study, actor=owner_of(desk), **values)


def newcomer(desk: Desk, name: str) -> Enrolment:
    """Somebody who has agreed, and nothing more."""
    user = User.objects.create_user(name, password="a-long-password")
    Membership.objects.create(study=desk.study, user=user, role=Role.RATER)
    enrolment = services.enrol(study=desk.study, user=user)
    return services.consent(enrolment=enrolment, version=desk.study.consent_version)


def wrong(comparison: Comparison) -> str:
    return "left" if comparison.expected == "right" else "right"


def through_lessons(enrolment: Enrolment, *, right: int = 10**6) -> Enrolment:
    """Answer what comes before the comparing, so many of it rightly and the rest wrongly."""
    while (found := training.next_lesson(enrolment)) is not None:
        comparison, _ = found
        cast(comparison, comparison.expected if right > 0 else wrong(comparison))
        right -= 1
        training.go_on(enrolment=enrolment, token=comparison.token)
    return training.settle(enrolment=enrolment)[0]
