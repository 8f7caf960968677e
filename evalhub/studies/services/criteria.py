"""The questions of a study, while it is a draft."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Criterion, LogEntry, Study, StudyState, User

MOST_QUESTIONS = 12  # about one pair


@dataclass(frozen=True)
class Question:
    """One question as an owner wants it.

    Args:
        key: its name in files and addresses; empty for a new one, which gets it from its name.
    """

    name: str
    question: str
    key: str = ""
    allows_tie: bool = True
    allows_both_bad: bool = True


@transaction.atomic
def set_criteria(*, study: Study, questions: Sequence[Question], actor: User) -> list[Criterion]:
    """Make these the study's questions, in this order: known keys are changed, new ones added, the others removed.

    Raises: Conflict once the study is published, and for a question that something was registered about; Refusal for
        questions that do not do.
    """
    locked = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if locked.state != StudyState.DRAFT:
        raise Conflict("This study is published, which froze its questions; make a new study for other questions.")
    wanted = _named(questions)
    before = [_as_told(criterion) for criterion in locked.criteria.all()]
    try:
        locked.criteria.exclude(key__in=[question.key for question in wanted]).delete()
    except ProtectedError:
        raise Conflict("A question that a ship test was registered about cannot be removed; reword it.") from None
    criteria = [
        Criterion.objects.update_or_create(
            study=locked, key=question.key, defaults={**asdict(question), "position": position}
        )[0]
        for position, question in enumerate(wanted)
    ]
    after = [_as_told(criterion) for criterion in criteria]
    if before != after:
        LogEntry.write(study=locked, actor=actor, verb="set questions", subject=locked, before=before, after=after)
    return criteria


def _named(questions: Sequence[Question]) -> list[Question]:
    """The questions, stripped, each under a key; Refusal for what does not do."""
    if not 1 <= len(questions) <= MOST_QUESTIONS:
        raise Refusal(f"A study asks 1 to {MOST_QUESTIONS} questions, got {len(questions)}.")
    named: list[Question] = []
    for given in questions:
        name, question = given.name.strip(), given.question.strip()
        if not 0 < len(name) <= 80 or not 0 < len(question) <= 200:
            raise Refusal(
                "Every question needs a name of 1 to 80 characters, which columns are headed by, and a wording of 1 to "
                f"200; got “{name[:80]}”, “{question[:200]}”."
            )
        key = given.key or slugify(name)[:32].strip("-_")
        if not key:
            raise Refusal(f"No short name can be made from “{name}”; use some Latin letters or digits in it.")
        if key in {other.key for other in named}:
            raise Refusal(f"Two questions would both be called “{key}” in files; name one of them differently.")
        named.append(Question(name, question, key, given.allows_tie, given.allows_both_bad))
    return named


def _as_told(criterion: Criterion) -> str:
    """For the log."""
    without = [
        word
        for word, allowed in (("no tie", criterion.allows_tie), ("no both bad", criterion.allows_both_bad))
        if not allowed
    ]
    return f"{criterion.name}: {criterion.question}" + (f" ({', '.join(without)})" if without else "")
