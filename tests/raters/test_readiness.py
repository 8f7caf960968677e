"""What a draft asks of its raters and does not have stands in its list of what it lacks."""

from evalhub.studies import services as studies
from evalhub.studies.models import Role
from evalhub.studies.services import Step
from tests.raters.conftest import Desk, owner_of
from tests.raters.gold_scenes import gold, rule


def step(desk: Desk, title: str) -> Step | None:
    return next((one for one in studies.checklist(desk.study) if one.title == title), None)


def test_known_answers_that_the_rules_ask_for(desk: Desk) -> None:
    assert step(desk, "Known answers") is None
    rule(desk, gold_every=5, qualification_share=0.8)
    lacking = step(desk, "Known answers")
    assert lacking is not None
    assert not lacking.done
    assert "for qualification and control" in lacking.says
    gold(desk, "qualification", 0)
    gold(desk, "control", 1)
    there = step(desk, "Known answers")
    assert there is not None
    assert (there.done, there.says) == (True, "2.")


def test_a_way_by_which_raters_come(desk: Desk) -> None:
    none = step(desk, "Raters")
    assert none is not None
    assert not none.done
    studies.create_invite(study=desk.study, role=Role.RATER, actor=owner_of(desk))
    desk.rater("ria")
    some = step(desk, "Raters")
    assert some is not None
    assert (some.done, some.says) == (True, "1 invite link, 1 rater.")
