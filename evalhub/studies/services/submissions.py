"""A delivery of outputs: manifest, missing files, complete.

A manifest may be posted as often as its sender likes; each file is checked as it arrives; samples come into being in
the one transaction that completes the submission, so nothing incomplete is ever compared or scored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict
from evalhub.studies.inspection import Undecodable, inspect
from evalhub.studies.models import (
    Checkpoint,
    EntryState,
    LogEntry,
    ManifestEntry,
    Media,
    Prompt,
    Sample,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    User,
)
from evalhub.studies.services.manifest import CheckpointFacts, ManifestFile, check_facts, check_files
from evalhub.studies.services.media import Stream, Upload, keep, sweep_uploads, uploaded

BATCH = 5000


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


@transaction.atomic
def receive_manifest(
    *, study: Study, actor: User, checkpoint: CheckpointFacts, files: Sequence[ManifestFile]
) -> Submission:
    """Begin a submission, or go on with one: what is promised now replaces what was promised before.

    The same manifest again changes nothing. While the submission is incomplete, a file that changed is expected anew
    and a file that is gone is forgotten. What the study already holds under a file's hash need not be sent.
    Facts about the checkpoint may be given, or mended, at any time; those left out stay.

    Raises: Refusal for a manifest or facts that do not do; Conflict when the submission is complete and differs,
        belongs to somebody else and differs, or the study is closed.
    """
    prompts = {prompt.key: prompt for prompt in Prompt.objects.filter(study=study).select_related("reference")}
    check_facts(checkpoint)
    check_files(files, prompts)
    submission = _submission(study, actor, checkpoint)
    entries = {entry.path: entry for entry in submission.entries.all()}
    kept = {file.path for file in files if _is(entries.get(file.path), file, prompts)}
    if len(kept) < len(files) or len(kept) < len(entries):
        _may_differ(submission, actor, is_new=not entries)
        gone = [entry.pk for path, entry in entries.items() if path not in kept]
        ManifestEntry.objects.filter(pk__in=gone).delete()
        _promise(submission, [file for file in files if file.path not in kept], prompts)
        LogEntry.write(
            study=study, actor=actor, verb="received manifest", subject=submission.checkpoint, files=len(files)
        )
    _mend_facts(submission.checkpoint, checkpoint, actor)
    if not submission.is_complete:
        _take_known(submission)
        _complete_if_whole(submission)
        sweep_uploads()
    return submission


def receive_file(*, submission: Submission, sha256: str, stream: Stream) -> list[ManifestEntry]:
    """Take one promised file, and complete the submission if it was the last.

    The stream goes to a file, is hashed, decoded under limits and stored; nothing is locked meanwhile. A file that does
    not do makes its entries `bad`, with the reason; sent again, it is tried again. A file that is here is not read.

    Returns: the entries that this file answers, in their new state.
    Raises: Conflict when the manifest does not promise the file (any more); NoRoom, and nothing changes.
    """
    entries = list(submission.entries.filter(sha256=sha256).select_related("prompt__reference"))
    if not entries:
        raise Conflict(f"This submission's manifest promises no file with SHA-256 {sha256}; post the manifest again.")
    if all(entry.state == EntryState.RECEIVED for entry in entries):
        return entries
    study = submission.checkpoint.study
    with uploaded(stream, most=entries[0].size) as upload:
        media, problem = None, _broken(upload, entries[0])
        if not problem:
            try:
                facts = inspect(upload.path, [study.modality])
                media = keep(study=study, upload=upload, facts=facts)
            except Undecodable as reason:
                problem = f"{{path}} {reason}."
    return _settle(submission, sha256, media, problem)


def complete_submission(*, submission: Submission) -> Submission:
    """The submission, if it is complete. Conflict, with what is missing, if not."""
    with transaction.atomic():
        locked = _locked(submission)
        if not locked.is_complete:
            _complete_if_whole(locked)
        if not locked.is_complete:
            found = report(locked)
            raise Conflict(found.summary, missing_prompts=found.missing_prompts)
        return locked


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
        missing_prompts=list(_unanswered(submission).values_list("key", flat=True)),
        duplicates=_duplicates(submission),
    )


def _submission(study: Study, actor: User, facts: CheckpointFacts) -> Submission:
    """The submission of that checkpoint, made if there is none, locked."""
    found = Checkpoint.objects.filter(study=study, name=facts.name, step=facts.step, submission__isnull=False).first()
    if found is None:
        if study.state == StudyState.CLOSED:
            raise Conflict("This study is closed and takes no more submissions; submit to another study.")
        found, is_new = Checkpoint.objects.get_or_create(
            study=study, name=facts.name, step=facts.step, defaults={**facts.given(), "created_by": actor}
        )
        Submission.objects.get_or_create(checkpoint=found, defaults={"created_by": actor})
        if is_new:
            LogEntry.write(study=study, actor=actor, verb="began submission", subject=found, **facts.given())
    return _locked(found.submission)


def _locked(submission: Submission) -> Submission:
    locked = Submission.objects.select_for_update(of=("self",)).select_related("checkpoint__study")
    return locked.get(pk=submission.pk)


def _is(entry: ManifestEntry | None, file: ManifestFile, prompts: Mapping[str, Prompt]) -> bool:
    return entry is not None and (entry.sha256, entry.size, entry.prompt_id, entry.seed) == (
        file.sha256,
        file.size,
        prompts[file.prompt].pk,
        file.seed,
    )


def _may_differ(submission: Submission, actor: User, *, is_new: bool) -> None:
    checkpoint = submission.checkpoint
    if submission.is_complete:
        raise Conflict(
            f"The submission of {checkpoint} is complete and this manifest differs from it; what is complete does not "
            "change, so submit changed outputs as a new checkpoint (another name or step)."
        )
    if not is_new and submission.created_by_id != actor.pk:
        raise Conflict(
            f"{submission.created_by} has begun a submission of {checkpoint} with other files; "
            "choose another name or step, or let its owner finish it."
        )
    if checkpoint.study.state == StudyState.CLOSED:
        raise Conflict("This study is closed and takes no more submissions; submit to another study.")


def _promise(submission: Submission, files: Sequence[ManifestFile], prompts: Mapping[str, Prompt]) -> None:
    ManifestEntry.objects.bulk_create(
        (
            ManifestEntry(
                submission=submission,
                path=file.path,
                sha256=file.sha256,
                size=file.size,
                prompt=prompts[file.prompt],
                seed=file.seed,
            )
            for file in files
        ),
        batch_size=BATCH,
    )


def _take_known(submission: Submission) -> None:
    """Mark as received what the study already holds. Other studies' files are not looked at."""
    awaited = submission.entries.outstanding().select_related("prompt__reference")
    study = submission.checkpoint.study
    hashes = submission.entries.outstanding().values("sha256")
    known = {media.sha256: media for media in Media.objects.filter(study=study, sha256__in=hashes)}
    here = [entry for entry in awaited if entry.sha256 in known]
    for entry in here:
        _judge(entry, known[entry.sha256])
    # One statement for those that will do, which may be all of many thousands; the others get a sentence each.
    received = [entry.pk for entry in here if entry.state == EntryState.RECEIVED]
    media = Media.objects.filter(study=study, sha256=OuterRef("sha256")).values("pk")
    ManifestEntry.objects.filter(pk__in=received).update(state=EntryState.RECEIVED, problem="", media=Subquery(media))
    bad = [entry for entry in here if entry.state == EntryState.BAD]
    ManifestEntry.objects.bulk_update(bad, ["state", "problem", "media"], batch_size=BATCH)


def _judge(entry: ManifestEntry, media: Media) -> None:
    """Whether this media can answer this entry's prompt."""
    reference = entry.prompt.reference
    entry.problem = ""
    if media.size != entry.size:
        entry.problem = f"{entry.path} has {media.size:,} bytes and the manifest says {entry.size:,}."
    elif media.kind != entry.submission.checkpoint.study.modality:
        entry.problem = f"{entry.path} is of the kind {media.kind}, which is not what this study compares."
    elif reference is not None and (media.width, media.height) != (reference.width, reference.height):
        entry.problem = (
            f"{entry.path} is {media.width}×{media.height} pixels, and the reference of its prompt "
            f"“{entry.prompt.key}” is {reference.width}×{reference.height}; send it in that size."
        )
    entry.state = EntryState.BAD if entry.problem else EntryState.RECEIVED
    entry.media = None if entry.problem else media


def _broken(upload: Upload, entry: ManifestEntry) -> str:
    """What went wrong on the way, as a sentence with `{path}` in it."""
    if upload.size > entry.size:
        return f"{{path}} has more than the {entry.size:,} bytes that the manifest says."
    if upload.size < entry.size:
        return f"{{path}} arrived with {upload.size:,} of {entry.size:,} bytes; send it again."
    if upload.sha256 != entry.sha256:
        return f"{{path}} arrived with the SHA-256 {upload.sha256}, which is not what the manifest says; send it again."
    return ""


@transaction.atomic
def _settle(submission: Submission, sha256: str, media: Media | None, problem: str) -> list[ManifestEntry]:
    locked = _locked(submission)
    entries = list(locked.entries.filter(sha256=sha256).select_related("prompt__reference"))
    if not entries:
        raise Conflict(f"The manifest was changed while the file {sha256} was on its way and lists it no longer.")
    # Another upload of the same file may have succeeded meanwhile: what is received stays so.
    awaited = [entry for entry in entries if entry.state != EntryState.RECEIVED]
    for entry in awaited:
        entry.submission = locked
        if media is not None:
            _judge(entry, media)
        else:
            entry.state, entry.problem = EntryState.BAD, problem.replace("{path}", entry.path)
    ManifestEntry.objects.bulk_update(awaited, ["state", "problem", "media"])
    if not locked.is_complete:
        _complete_if_whole(locked)
    return entries


def _complete_if_whole(submission: Submission) -> None:
    """Complete a locked submission if every file is received and every prompt answered."""
    if submission.entries.outstanding().exists():
        return
    # From here to the commit nobody adds a prompt.
    study = Study.objects.select_for_update(no_key=True).get(pk=submission.checkpoint.study_id)
    if not submission.entries.exists() or _unanswered(submission).exists():
        return
    Sample.objects.bulk_create(
        (
            Sample(checkpoint_id=submission.checkpoint_id, prompt_id=prompt, seed=seed, media_id=media)
            for prompt, seed, media in submission.entries.values_list("prompt_id", "seed", "media_id")
        ),
        batch_size=BATCH,
    )
    submission.state, submission.completed_at = SubmissionState.COMPLETE, timezone.now()
    submission.save(update_fields=["state", "completed_at"])
    LogEntry.write(
        study=study,
        actor=submission.created_by,
        verb="completed submission",
        subject=submission.checkpoint,
        samples=submission.entries.count(),
    )
    enqueue("raters.prepare_presentation", str(study.pk))
    enqueue("metrics.score_submission", str(submission.pk))


def _unanswered(submission: Submission) -> QuerySet[Prompt]:
    answered = submission.entries.values("prompt_id")
    return Prompt.objects.filter(study_id=submission.checkpoint.study_id).exclude(pk__in=answered)


def _duplicates(submission: Submission) -> list[list[str]]:
    counted = submission.entries.values("sha256").annotate(count=Count("id")).order_by()
    several = counted.filter(count__gt=1).values("sha256")
    groups: dict[str, list[str]] = {}
    for sha256, path in submission.entries.filter(sha256__in=several).values_list("sha256", "path"):
        groups.setdefault(sha256, []).append(path)
    return list(groups.values())


def _mend_facts(checkpoint: Checkpoint, facts: CheckpointFacts, actor: User) -> None:
    changed = {name: value for name, value in facts.given().items() if getattr(checkpoint, name) != value}
    if not changed:
        return
    before = {name: getattr(checkpoint, name) for name in changed}
    for name, value in changed.items():
        setattr(checkpoint, name, value)
    checkpoint.save(update_fields=list(changed))
    LogEntry.write(
        study=checkpoint.study, actor=actor, verb="changed facts", subject=checkpoint, before=before, after=changed
    )
