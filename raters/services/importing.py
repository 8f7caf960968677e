"""Votes that were cast elsewhere come in, all that have a place at once or none; and can be taken back as a whole."""

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Prompt, Sample, Study, StudyState, User
from raters.models import Enrolment, PairCount, VoteImport
from raters.services import staging
from raters.services.fitting import ask_for_refit
from raters.services.staging import NAMED, Fault
from raters.services.vote_files import Lines, Misfit

TITLES = {
    "unreadable": "Lines that cannot be read",
    "checkpoint": "Checkpoints that the study does not have",
    "same side": "The same checkpoint on both sides",
    "question": "Questions that the study does not ask",
    "answer": "Answers that the question does not take",
    "prompt": "Prompts that the study does not have",
    "output": "Outputs that were never delivered",
    "seed": "Several outputs, and no seed that says which",
    "file": "Outputs that are other files than those that were judged",
    "own": "Votes that were cast in this very study",
    "twice": "Pairs that the same rater has answered otherwise before",
}


READING, FINDING = "Reading the file", "Finding the outputs"
STAGES = (READING, FINDING, staging.PAIRS, staging.VOTES)

Tell = Callable[[str, int, int], None]
"""Hears which stage the work is at, of how many lines it is done there, and of how many in all."""


def to_nobody(stage: str, done: int, total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Refused:
    """Lines that are left out for one reason: how many, and a sentence on each of the first ones."""

    kind: str
    lines: int
    sentences: tuple[str, ...]

    @property
    def title(self) -> str:
        return TITLES[self.kind]


@dataclass(frozen=True)
class Report:
    """What a file comes to.

    Attributes:
        lines: in the file; votes: of them come in, from so many raters; known: say what is there already.
        refused: the others, by reason.
    """

    lines: int
    votes: int
    raters: int
    known: int
    refused: tuple[Refused, ...] = ()

    @property
    def left_out(self) -> int:
        return sum(one.lines for one in self.refused)

    @property
    def told(self) -> dict[str, Any]:
        """For a row and for programs."""
        refused = [{"reason": one.title, "lines": one.lines, "named": list(one.sentences)} for one in self.refused]
        return asdict(self) | {"left_out": self.left_out, "refused": refused}

    @property
    def sentence(self) -> str:
        return (
            f"{self.votes:,} of {self.lines:,} lines are votes to import, from {self.raters:,} raters; {self.known:,} "
            f"are here already, and {self.left_out:,} cannot be placed."
        )


@transaction.atomic
def look_at_votes(*, study: Study, file: IO[bytes], name: str, criterion: str = "", tell: Tell = to_nobody) -> Report:
    """What importing the file would come to; nothing is written. Errors as of `import_votes`."""
    known, digest = _import_of(study, _checked(study, name)), digest_of(file)
    require_new_file(study=study, name=known.name, sha256=digest)
    report = _nothing_new(known, digest) or _placed(known, file, criterion, tell)
    transaction.set_rollback(True)
    return report


@transaction.atomic
def import_votes(
    *,
    study: Study,
    file: IO[bytes],
    name: str,
    actor: User | None,
    criterion: str = "",
    leave_out: bool = False,
    tell: Tell = to_nobody,
) -> Report:
    """Add the votes of a CSV file, under a name; a second time, only what the file has more.

    Args:
        file: `left,right,outcome,prompt[,rater,seed,criterion]`, or the CSV of the study's own export of votes.
        criterion: the question's key, where the study has several and the file has no such column.
        leave_out: whether lines that cannot be placed are passed over; else one of them refuses the file.
        tell: hears how far it is; what it raises ends the import, of which nothing is left.
    Raises: Conflict in a draft, for the same file under another name, and for a name that was taken back; Refusal for
        a file that cannot be read, or that has lines without a place.
    """
    known, digest = _import_of(study, _checked(study, name)), digest_of(file)
    if report := _nothing_new(known, digest):
        return report
    try:
        with transaction.atomic():
            known.sha256, known.created_by = digest, known.created_by or actor
            known.save()
    except IntegrityError:
        require_new_file(study=study, name=known.name, sha256=digest)
        raise Conflict(f"“{known.name}” is being imported by somebody else; wait until it has ended.") from None
    report = _placed(known, file, criterion, tell)
    if report.left_out and not leave_out:
        raise Refusal(
            f"Nothing was imported: {report.left_out:,} of {report.lines:,} lines cannot be placed. Mend them, or "
            f"have them left out. {report.refused[0].sentences[0]}",
            report=report.told,
        )
    staging.write(study, known, tell)
    known.votes, known.refused = known.votes + report.votes, report.left_out
    known.save(update_fields=["votes", "refused"])
    told = {"votes": report.votes, "raters": report.raters, "left_out": report.left_out, "sha256": digest}
    LogEntry.write(study=study, actor=actor, verb="imported votes", subject=known, **told)
    PairCount.objects.recount(study)
    ask_for_refit(study)
    return report


@transaction.atomic
def take_back(*, vote_import: VoteImport, reason: str, actor: User | None) -> VoteImport:
    """Leave all votes of an import out of rankings and exports, for a reason; they stay, and can be put back.

    Raises: Refusal without a reason; Conflict when they are taken back already.
    """
    reason = " ".join(reason.split())
    if not reason or "\0" in reason:
        raise Refusal("Taking an import back takes a reason, which the study's log keeps; write one.")
    locked = VoteImport.objects.select_for_update().select_related("study").get(pk=vote_import.pk)
    if locked.taken_back_at is not None:
        raise Conflict(f"“{locked}” is taken back already: {locked.taken_back_because}")
    locked.taken_back_at, locked.taken_back_because = timezone.now(), reason
    locked.save(update_fields=["taken_back_at", "taken_back_because"])
    counted = Enrolment.objects.filter(vote_import=locked, excluded_at=None)
    raters = counted.update(excluded_at=locked.taken_back_at, exclusion_reason=_exclusion(locked))
    told = {"reason": reason, "raters": raters}
    LogEntry.write(study=locked.study, actor=actor, verb="took import back", subject=locked, **told)
    ask_for_refit(locked.study)
    return locked


@transaction.atomic
def put_back(*, vote_import: VoteImport, actor: User | None) -> VoteImport:
    """Have the votes of an import count again; raters who were excluded for another reason stay so.

    Raises: Conflict when they were not taken back.
    """
    locked = VoteImport.objects.select_for_update().select_related("study").get(pk=vote_import.pk)
    if locked.taken_back_at is None:
        raise Conflict(f"“{locked}” is not taken back; its votes count.")
    excluded = Enrolment.objects.filter(vote_import=locked, exclusion_reason=_exclusion(locked))
    raters = excluded.update(excluded_at=None, exclusion_reason="")
    locked.taken_back_at, locked.taken_back_because = None, ""
    locked.save(update_fields=["taken_back_at", "taken_back_because"])
    LogEntry.write(study=locked.study, actor=actor, verb="put import back", subject=locked, raters=raters)
    ask_for_refit(locked.study)
    return locked


def _exclusion(taken_back: VoteImport) -> str:
    return f"Import taken back: {taken_back.taken_back_because}"


def require_place_for(*, study: Study, name: str) -> str:
    """The name as it is kept. Raises: as `import_votes`, of a name and a study to which nothing can be imported."""
    name = _checked(study, name)
    if taken_back := VoteImport.objects.filter(study=study, name=name).exclude(taken_back_at=None).first():
        raise _is_taken_back(taken_back)
    return name


def require_new_file(*, study: Study, name: str, sha256: str) -> None:
    """Conflict for the very file that came in under another name."""
    if other := VoteImport.objects.filter(study=study, sha256=sha256).exclude(name=name).first():
        raise Conflict(f"This very file was imported as “{other}” already; its votes would count twice.")


def _is_taken_back(known: VoteImport) -> Conflict:
    return Conflict(f"“{known}” was taken back; put it back first, or import under another name.")


def _checked(study: Study, name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= VoteImport.LONGEST_NAME or "\0" in name:
        raise Refusal(f"An import has a name of 1 to {VoteImport.LONGEST_NAME} characters; got “{name[:80]}”.")
    if study.state == StudyState.DRAFT:
        raise Conflict("A draft's prompts and questions can still change; open the study before importing votes to it.")
    return name


def _import_of(study: Study, name: str) -> VoteImport:
    """The import of that name, locked; one that is not saved yet where there is none."""
    known = VoteImport.objects.select_for_update(of=("self",)).filter(study=study, name=name).first()
    if known is not None and known.taken_back_at is not None:
        raise _is_taken_back(known)
    return known or VoteImport(study=study, name=name)


def digest_of(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def _nothing_new(known: VoteImport, digest: str) -> Report | None:
    """Of the very file that is here whole: an archive's copy has other raters, and would take it once more."""
    if known.sha256 != digest or known.refused:
        return None
    return Report(lines=known.votes, votes=0, raters=0, known=known.votes)


def _placed(known: VoteImport, file: IO[bytes], criterion: str, tell: Tell) -> Report:
    misfits, size = _Misfits(), _size(file)

    def told(done: int) -> None:
        tell(READING, done, round(done * size / max(1, file.tell())))

    with Lines(known.study, file, criterion) as lines:
        staging.stage(lines.columns, misfits.passing(lines), told)
    tell(FINDING, 0, misfits.lines)
    staging.place(known.study, known)
    votes, raters, again = staging.totals()
    refused = (*misfits.refused(), *_without_place(known.study, staging.faults()))
    return Report(misfits.lines, votes, raters, again, refused)


class _Misfits:
    """Counts the lines that cannot be read, and keeps the first of each kind."""

    def __init__(self) -> None:
        self.lines = 0
        self.counts: Counter[str] = Counter()
        self.sentences: dict[str, list[str]] = defaultdict(list)

    def passing(self, lines: Iterable[tuple[int, str | Misfit]]) -> Iterator[tuple[int, str]]:
        for number, line in lines:
            self.lines += 1
            if isinstance(line, str):
                yield number, line
                continue
            self.counts[line.kind] += 1
            if self.counts[line.kind] <= NAMED:
                self.sentences[line.kind].append(f"Line {number:,}: {line.sentence}")

    def refused(self) -> list[Refused]:
        return [Refused(kind, count, tuple(self.sentences[kind])) for kind, count in self.counts.items()]


def _without_place(study: Study, faults: list[Fault]) -> list[Refused]:
    names = {checkpoint.pk: str(checkpoint) for checkpoint in study.checkpoints.all()}
    found: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        found[fault.kind].append(fault)
    return [
        Refused(
            kind,
            named[0].of_kind,
            tuple(f"Line {fault.line:,}: {_sentence(study, fault, names)}" for fault in named),
        )
        for kind, named in found.items()
    ]


def _sentence(study: Study, fault: Fault, names: Mapping[UUID, str]) -> str:
    left, right, prompt = names[fault.left_checkpoint], names[fault.right_checkpoint], fault.prompt[:80]
    if fault.kind == "prompt":
        return f"The study has no prompt “{prompt}”; a prompt is named by its key." if prompt else "It names no prompt."
    if fault.kind == "output":
        checkpoint, name = (fault.left_checkpoint, left) if fault.is_left_missing else (fault.right_checkpoint, right)
        answered = Sample.objects.filter(checkpoint=checkpoint, prompt__in=Prompt.objects.filter(study=study))
        seeds = list(answered.filter(prompt__key=fault.prompt).order_by("seed").values_list("seed", flat=True)[:5])
        there = f" with that seed; it has {', '.join(map(str, seeds))}" if seeds else "; it is not complete without one"
        return f"{name} has no output for “{prompt}”{there}."
    if fault.kind == "seed":
        name = left if (fault.left_outputs or 0) > 1 else right
        return f"{name} has several outputs for “{prompt}”; add the columns left_seed and right_seed."
    if fault.kind == "file":
        name = left if fault.is_left_changed else right
        return f"The output of {name} for “{prompt}” is another file than the one that was judged."
    if fault.kind == "own":
        return f"This vote on “{prompt}” was cast in this study, and would count twice."
    return (
        f"The same rater has answered {left} against {right} on “{prompt}” otherwise already; the first answer stays."
    )
