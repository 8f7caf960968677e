"""A delivery of outputs: manifest, missing files, complete.

A manifest may be posted as often as its sender likes; each file is checked as it arrives (`receiving`); samples come
into being in the one transaction that completes the submission, so nothing incomplete is ever compared or scored.
"""

from collections.abc import Mapping, Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict
from evalhub.studies.models import (
    Checkpoint,
    EntryState,
    Event,
    LogEntry,
    ManifestEntry,
    Media,
    Prompt,
    Study,
    StudyState,
    Submission,
    SubmissionState,
    User,
)
from evalhub.studies.services import parts, webhooks
from evalhub.studies.services.manifest import CheckpointFacts, ManifestFile, check_facts, check_files
from evalhub.studies.services.media import sweep_uploads
from evalhub.studies.services.quotas import require_room
from evalhub.studies.services.reports import report, unanswered

BATCH = 5000

# One statement for all of a manifest's lines; row by row through the models it takes ten times as long.
_PROMISE = """
INSERT INTO studies_manifestentry (submission_id, path, sha256, size, prompt_id, seed, state, problem)
SELECT %(submission)s, path, sha256, size, prompt, seed, %(state)s, ''
FROM unnest(%(paths)s::text[], %(hashes)s::text[], %(sizes)s::bigint[], %(prompts)s::bigint[], %(seeds)s::bigint[])
    AS promised (path, sha256, size, prompt, seed)
"""
# What the study holds and what will do: of the promised size, of the study's kind, as large as the prompt's reference.
_TAKE_FIT = """
UPDATE studies_manifestentry AS entry SET state = %(received)s, problem = '', media_id = media.id
FROM studies_media AS media, studies_prompt AS prompt
LEFT JOIN studies_media AS reference ON reference.id = prompt.reference_id
WHERE entry.submission_id = %(submission)s AND entry.state <> %(received)s
    AND media.study_id = %(study)s AND media.sha256 = entry.sha256
    AND prompt.id = entry.prompt_id
    AND media.size = entry.size AND media.kind = %(kind)s
    AND (reference.id IS NULL OR (media.width, media.height) = (reference.width, reference.height))
"""
_SAMPLES = """
INSERT INTO studies_sample (checkpoint_id, prompt_id, seed, media_id)
SELECT %(checkpoint)s, prompt_id, seed, media_id FROM studies_manifestentry
WHERE submission_id = %(submission)s ORDER BY id
"""


@transaction.atomic
def receive_manifest(
    *, study: Study, actor: User, checkpoint: CheckpointFacts, files: Sequence[ManifestFile]
) -> Submission:
    """Begin a submission, or go on with one: what is promised now replaces what was promised before.

    The same manifest again changes nothing. While the submission is incomplete, a file that changed is expected anew
    and a file that is gone is forgotten. What the study already holds under a file's hash need not be sent.
    Facts about the checkpoint may be given, or mended, at any time; those left out stay.

    Raises: Refusal for a manifest or facts that do not do; OverQuota when the files are more than the study takes;
        Conflict when the submission is complete and differs, belongs to somebody else and differs, or the study is
        closed.
    """
    prompts = dict(Prompt.objects.filter(study=study).values_list("key", "pk"))
    check_facts(checkpoint)
    check_files(files, prompts)
    submission = _submission(study, actor, checkpoint)
    lines = submission.entries.values_list("path", "pk", "sha256", "size", "prompt_id", "seed")
    entries = {path: (pk, promised) for path, pk, *promised in lines.iterator(chunk_size=BATCH)}
    kept = {
        file.path
        for file in files
        if file.path in entries and entries[file.path][1] == [file.sha256, file.size, prompts[file.prompt], file.seed]
    }
    if len(kept) < len(files) or len(kept) < len(entries):
        _may_differ(submission, actor, is_new=not entries)
        gone = [pk for path, (pk, _) in entries.items() if path not in kept]
        ManifestEntry.objects.filter(pk__in=gone).delete()
        _promise(submission, [file for file in files if file.path not in kept], prompts)
        require_room(submission=submission)
        LogEntry.write(
            study=study, actor=actor, verb="received manifest", subject=submission.checkpoint, files=len(files)
        )
    _mend_facts(submission.checkpoint, checkpoint, actor)
    if not submission.is_complete:
        _take_known(submission)
        complete_if_whole(submission)
        sweep_uploads()
        parts.sweep()
    return submission


def complete_submission(*, submission: Submission) -> Submission:
    """The submission, if it is complete. Conflict, with what is missing, if not."""
    with transaction.atomic():
        locked = lock(submission)
        if not locked.is_complete:
            complete_if_whole(locked)
        if not locked.is_complete:
            found = report(locked)
            raise Conflict(found.summary, missing_prompts=found.missing_prompts)
        return locked


def lock(submission: Submission) -> Submission:
    """The submission as it is now; whoever else would change what it promises, or complete it, waits."""
    locked = Submission.objects.select_for_update(of=("self",)).select_related("checkpoint__study")
    return locked.get(pk=submission.pk)


def complete_if_whole(submission: Submission) -> None:
    """Complete a locked submission if every file is received and every prompt answered."""
    if submission.entries.outstanding().exists():
        return
    # From here to the commit nobody adds a prompt.
    study = Study.objects.select_for_update(no_key=True).get(pk=submission.checkpoint.study_id)
    if not submission.entries.exists() or unanswered(submission).exists():
        return
    with connection.cursor() as cursor:
        cursor.execute(_SAMPLES, {"checkpoint": submission.checkpoint_id, "submission": submission.pk})
        samples = cursor.rowcount
    submission.state, submission.completed_at = SubmissionState.COMPLETE, timezone.now()
    submission.save(update_fields=["state", "completed_at"])
    LogEntry.write(
        study=study,
        actor=submission.created_by,
        verb="completed submission",
        subject=submission.checkpoint,
        samples=samples,
    )
    enqueue("raters.prepare_presentation", str(study.pk))
    enqueue("metrics.score_submission", str(submission.pk))
    checkpoint = submission.checkpoint
    told = {"submission": submission.pk, "checkpoint": checkpoint.name, "step": checkpoint.step, "samples": samples}
    webhooks.announce(study=study, event=Event.SUBMISSION_COMPLETE, data=told)


def judge(entry: ManifestEntry, media: Media, kind: str) -> None:
    """Set whether this media can answer this entry's prompt, in a study that compares outputs of this kind."""
    reference = entry.prompt.reference
    entry.problem = ""
    if media.size != entry.size:
        entry.problem = f"{entry.path} has {media.size:,} bytes and the manifest says {entry.size:,}."
    elif media.kind != kind:
        entry.problem = f"{entry.path} is of the kind {media.kind}, which is not what this study compares."
    elif reference is not None and (media.width, media.height) != (reference.width, reference.height):
        entry.problem = (
            f"{entry.path} is {media.width}×{media.height} pixels, and the reference of its prompt "
            f"“{entry.prompt.key}” is {reference.width}×{reference.height}; send it in that size."
        )
    entry.state = EntryState.BAD if entry.problem else EntryState.RECEIVED
    entry.media = None if entry.problem else media


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
    return lock(found.submission)


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


def _promise(submission: Submission, files: Sequence[ManifestFile], prompts: Mapping[str, int]) -> None:
    if not files:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _PROMISE,
            {
                "submission": submission.pk,
                "state": EntryState.MISSING.value,
                "paths": [file.path for file in files],
                "hashes": [file.sha256 for file in files],
                "sizes": [file.size for file in files],
                "prompts": [prompts[file.prompt] for file in files],
                "seeds": [file.seed for file in files],
            },
        )


def _take_known(submission: Submission) -> None:
    """Mark as received what the study already holds. Other studies' files are not looked at."""
    study = submission.checkpoint.study
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_FIT,
            {
                "received": EntryState.RECEIVED.value,
                "submission": submission.pk,
                "study": study.pk,
                "kind": study.modality,
            },
        )
    # What is here and still outstanding does not fit: few, and each gets a sentence.
    held = Media.objects.filter(study=study, sha256=OuterRef("sha256"))
    unfit = submission.entries.outstanding().filter(Exists(held)).annotate(held=Subquery(held.values("pk")))
    found = list(unfit.select_related("prompt__reference"))
    known = Media.objects.in_bulk([entry.held for entry in found])
    for entry in found:
        judge(entry, known[entry.held], study.modality)
    ManifestEntry.objects.bulk_update(found, ["state", "problem", "media"], batch_size=BATCH)


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
