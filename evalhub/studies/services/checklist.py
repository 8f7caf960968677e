"""What a draft has and what it still lacks before it is published."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Count, Q

from evalhub.studies.models import PromptList, Study, SubmissionState


@dataclass(frozen=True)
class Step:
    """One thing to see to.

    Args:
        page: the name of the page where it is done; section: of the settings, where it is one.
        done: False where something is missing; needed: publishing waits for it.
    """

    title: str
    says: str
    page: str
    done: bool = True
    needed: bool = False
    section: str = ""


# Other rooms of the site add what they ask of a study.
more_steps: list[Callable[[Study], list[Step]]] = []


def checklist(study: Study) -> list[Step]:
    """Every step in the order in which people take them."""
    steps = [_questions(study), *_prompts(study), *_texts(study), _showing(study), _contestants(study)]
    return [*steps, *(step for more in more_steps for step in more(study))]


def _questions(study: Study) -> Step:
    names = list(study.criteria.values_list("name", flat=True))
    says = f"{_counted(len(names), 'question')}: {', '.join(names)}." if names else "Raters are asked nothing yet."
    return Step("Questions", says, "study_questions", bool(names), needed=True)


def _prompts(study: Study) -> list[Step]:
    counted = study.prompts.aggregate(
        all=Count("pk"),
        sources=Count("source"),
        masks=Count("mask"),
        references=Count("reference"),
        bare=Count("pk", filter=Q(text="", source=None)),
    )
    count = counted["all"]
    with_parts = [
        f"{counted[part]:,} with a {part.removesuffix('s')}"
        for part in ("sources", "masks", "references")
        if counted[part]
    ]
    says = f"{', '.join([_counted(count, 'prompt'), *with_parts])}." if count else "There is none yet."
    steps = [Step("Prompts", says, "prompts", count > 0, needed=True)]
    if PromptList.objects.filter(study=study).exists():
        steps.append(
            Step("A list of prompts waits", "Look at it, then keep it or put it away.", "prompts_waiting", False)
        )
    if counted["bare"] > 0:
        says = f"{counted['bare']:,} have neither a text nor a source: raters see their outputs and nothing else."
        steps.append(Step("Prompts that say nothing", says, "prompts", False))
    if 0 < counted["sources"] < count:
        says = f"{count - counted['sources']:,} have no source, and the others have one."
        steps.append(Step("Sources", says, "prompts", False))
    return steps


def _texts(study: Study) -> list[Step]:
    consent = "Raters agree to it first." if study.consent else "Empty: raters are asked for no consent."
    instructions = "Shown before the first pair." if study.instructions else "Empty: raters see the questions and keys."
    return [
        Step("Consent", consent, "study_section", bool(study.consent), section="texts"),
        Step("Instructions", instructions, "study_section", bool(study.instructions), section="texts"),
    ]


def _showing(study: Study) -> Step:
    parts = [f"at most {study.presentation_edge:,} pixels a side"]
    if study.reason_tags:
        parts.append(f"{_counted(len(study.reason_tags), 'reason')} to tick")
    if study.is_sensitive:
        parts.append("blurred until a rater agrees")
    return Step("Showing", f"{', '.join(parts)}.".capitalize(), "study_section", section="showing")


def _contestants(study: Study) -> Step:
    complete = study.checkpoints.filter(submission__state=SubmissionState.COMPLETE).count()
    says = f"{_counted(complete, 'complete submission')}."
    if complete < 2:
        says += " Raters see a first pair once two are complete; that may be after publishing."
    return Step("Contestants", says, "submissions", complete >= 2)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
