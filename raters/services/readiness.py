"""What a study asks of its raters and does not yet have: part of what a draft lacks."""

from evalhub.studies.models import Membership, Role, Study
from evalhub.studies.services import Step
from raters.models import GoldUse, Recruitment
from raters.services.golds import counts
from raters.services.rules import rules_of


def steps(study: Study) -> list[Step]:
    """Known answers, where the rules ask for any; and a way by which raters come."""
    return [*_known_answers(study), _ways_in(study)]


def _known_answers(study: Study) -> list[Step]:
    rules, there = rules_of(study), counts(study)
    asked = {GoldUse.QUALIFICATION: rules.qualification_share is not None, GoldUse.CONTROL: bool(rules.gold_every)}
    lacking = [use.label.lower() for use, wanted in asked.items() if wanted and not there[use]]
    if lacking:
        says = f"The rules ask for known answers for {' and '.join(lacking)}, and there are none."
        return [Step("Known answers", says, "known_answers", False)]
    return [Step("Known answers", f"{sum(there.values()):,}.", "known_answers")] if any(there.values()) else []


def _ways_in(study: Study) -> Step:
    links = Recruitment.objects.filter(study=study).taking().count()
    invites = study.invites.filter(role=Role.RATER).usable().count()
    raters = Membership.objects.filter(study=study, role=Role.RATER).count()
    ways = [(links, "recruitment"), (invites, "invite link"), (raters, "rater")]
    found = [f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in ways if number]
    if not found:
        return Step("Raters", "Nobody can come yet: make a link or a recruitment.", "recruiting", False)
    return Step("Raters", f"{', '.join(found)}.".capitalize(), "recruiting")
