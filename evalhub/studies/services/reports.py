"""How far a delivery has come, and what stands in its way."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from evalhub.studies.models import EntryState, Prompt, Submission, SubmissionState


@dataclass(frozen=True)
class BadFile:
    path: str
    problem: str


@dataclass(frozen=True)
class Report:
    """How far a submission has come, and what stands in its way.

    `awaited` counts files that have not arrived; `bad_files` have, and did not do; `missing_prompts` are keys that no
    file of the manifest answers. `duplicates` are groups of paths with the same bytes: suspicious, but no obstacle.
    """

    state: str
    files: int
    received: int
    awaited: int
    bad_files: list[BadFile]
    missing_prompts: list[str]
    duplicates: list[list[str]]

    @property
    def summary(self) -> str:
        """One sentence."""
        if self.state == SubmissionState.COMPLETE:
            return f"Complete: {_count(self.files, 'file has', 'files have')} arrived, all in order."
        reasons = [
            f"{self.awaited:,} of {_count(self.files, 'file is', 'files are')} still to come" if self.awaited else "",
            f"{_count(len(self.bad_files), 'file', 'files')} did not do, to be sent again" if self.bad_files else "",
            f"{_count(len(self.missing_prompts), 'prompt has', 'prompts have')} no output"
            if self.missing_prompts
            else "",
        ]
        return f"Incomplete: {'; '.join(reason for reason in reasons if reason)}."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def report(submission: Submission) -> Report:
    """How far it has come; what API and pages show."""
    counts = dict(submission.entries.values_list("state").annotate(Count("id")).order_by())
    bad = submission.entries.filter(state=EntryState.BAD).values_list("path", "problem")
    return Report(
        state=submission.state,
        files=sum(counts.values()),
        received=counts.get(EntryState.RECEIVED, 0),
        awaited=counts.get(EntryState.MISSING, 0),
        bad_files=[BadFile(path, problem) for path, problem in bad],
        missing_prompts=list(unanswered(submission).values_list("key", flat=True)),
        duplicates=_duplicates(submission),
    )


def unanswered(submission: Submission) -> QuerySet[Prompt]:
    """The study's prompts that no file of the manifest answers."""
    answered = submission.entries.values("prompt_id")
    return Prompt.objects.filter(study_id=submission.checkpoint.study_id).exclude(pk__in=answered)


def _duplicates(submission: Submission) -> list[list[str]]:
    counted = submission.entries.values("sha256").annotate(count=Count("id")).order_by()
    several = counted.filter(count__gt=1).values("sha256")
    groups: dict[str, list[str]] = {}
    for sha256, path in submission.entries.filter(sha256__in=several).values_list("sha256", "path"):
        groups.setdefault(sha256, []).append(path)
    return list(groups.values())
