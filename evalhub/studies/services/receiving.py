"""One promised file after the other, whole or in pieces: hashed, decoded under limits, stored, marked.

Nothing is locked while bytes travel or are decoded. What a file changes is one transaction; whether it was the last
is asked after its commit, so that of two last files at once the later one sees both.
"""

from dataclasses import asdict, replace

from django.db import connection, transaction

from evalhub.problems import Conflict
from evalhub.studies.inspection import Facts, Undecodable, inspect
from evalhub.studies.models import EntryState, ManifestEntry, Study, Submission
from evalhub.studies.services import parts
from evalhub.studies.services.media import Stream, Upload, put_away, record, uploaded
from evalhub.studies.services.submissions import complete_if_whole, judge, lock

# What nearly every file takes: its row, written or found, and its entries, where it will do, in one statement.
_TAKE_FIT = """
WITH kept AS (
    INSERT INTO studies_media
        (study_id, sha256, size, kind, format, width, height, frames, duration, fps, codec, created_at)
    VALUES (%(study)s, %(sha256)s, %(size)s, %(kind)s, %(format)s, %(width)s, %(height)s, %(frames)s, %(duration)s,
        %(fps)s, %(codec)s, now())
    ON CONFLICT (study_id, sha256) DO UPDATE SET sha256 = excluded.sha256
    RETURNING id, size, kind, width, height
)
UPDATE studies_manifestentry AS entry SET state = %(received)s, problem = '', media_id = kept.id
FROM kept, studies_prompt AS prompt
LEFT JOIN studies_media AS reference ON reference.id = prompt.reference_id
WHERE entry.submission_id = %(submission)s AND entry.sha256 = %(sha256)s AND entry.state <> %(received)s
    AND prompt.id = entry.prompt_id
    AND kept.size = entry.size AND kept.kind = %(modality)s
    AND (reference.id IS NULL OR (kept.width, kept.height) = (reference.width, reference.height))
RETURNING entry.id
"""


def receive_file(*, submission: Submission, sha256: str, stream: Stream) -> list[ManifestEntry]:
    """Take one promised file, and complete the submission if it was the last.

    The stream goes to a file, is hashed, decoded under limits and stored. A file that does not do makes its entries
    `bad`, with the reason; sent again, it is tried again. A file that is here is not read.

    Returns: the entries that this file answers, in their new state; `submission.state` is the new one too.
    Raises: Conflict when the manifest does not promise the file (any more); NoRoom, and nothing changes.
    """
    entries = promised(submission, sha256)
    if _all_received(entries):
        _complete_if_last(submission)
        return entries
    with uploaded(stream, most=entries[0].size) as upload:
        entries = _take(submission, entries, upload)
    parts.forget(submission.pk, sha256)
    _complete_if_last(submission)
    return entries


def receive_piece(
    *, submission: Submission, sha256: str, stream: Stream, start: int, length: int
) -> tuple[int, list[ManifestEntry]]:
    """Take the next piece of a promised file; with the last one, take the file as `receive_file` does.

    Args: start: the offset of the piece, which is the number of bytes that are here; length: of the piece, in bytes.
    Returns: how many bytes are here now, and, once they are all here, the entries in their new state.
    Raises: as `receive_file`; WrongOffset, with the right one.
    """
    entries = promised(submission, sha256)
    size = entries[0].size
    if _all_received(entries):
        _complete_if_last(submission)
        return size, entries
    here = start
    if length:
        here = parts.append(submission.pk, sha256, stream, start=start, length=length)
    else:
        parts.require(submission.pk, sha256, start)
    if here < size:
        return here, []
    with parts.whole(submission.pk, sha256) as upload:
        if upload is not None:
            entries = _take(submission, entries, upload)
    # Without an upload another request has just taken it.
    _complete_if_last(submission)
    return size, promised(submission, sha256)


def offset(*, submission: Submission, sha256: str) -> tuple[int, list[ManifestEntry]]:
    """How many bytes of a promised file are here, and the entries that it answers. Raises: Conflict, as above."""
    entries = promised(submission, sha256)
    return (entries[0].size if _all_received(entries) else parts.size(submission.pk, sha256)), entries


def part_sizes(submission: Submission) -> dict[str, int]:
    """How many bytes are here of each file that has come in part, by hash."""
    return parts.sizes(submission.pk)


def promised(submission: Submission, sha256: str) -> list[ManifestEntry]:
    """The entries that a file answers. Raises: Conflict when there is none."""
    entries = list(submission.entries.filter(sha256=sha256))
    if not entries:
        raise Conflict(f"This submission's manifest promises no file with SHA-256 {sha256}; post the manifest again.")
    return entries


def _all_received(entries: list[ManifestEntry]) -> bool:
    return all(entry.state == EntryState.RECEIVED for entry in entries)


def _take(submission: Submission, entries: list[ManifestEntry], upload: Upload) -> list[ManifestEntry]:
    """Look into a file, store it if it will do, and say in its entries what became of it."""
    study = submission.checkpoint.study
    facts, problem = None, _broken(upload, entries[0])
    if not problem:
        try:
            facts = inspect(upload.path, [study.modality])
        except Undecodable as reason:
            problem = f"{{path}} {reason}."
    upload = replace(upload, sha256=entries[0].sha256)
    if facts is not None:
        put_away(study=study, upload=upload)
        if _take_fit(submission, study, entries, upload, facts):
            return entries
    return _settle(submission, study, upload=upload, facts=facts, problem=problem)


def _take_fit(submission: Submission, study: Study, entries: list[ManifestEntry], upload: Upload, facts: Facts) -> bool:
    """Whether all entries that were awaited are received now; if not, they have changed or the file does not fit."""
    awaited = [entry for entry in entries if entry.state != EntryState.RECEIVED]
    told = asdict(facts) | {"study": study.pk, "modality": study.modality, "submission": submission.pk}
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE_FIT,
            told | {"sha256": upload.sha256, "size": upload.size, "received": EntryState.RECEIVED.value},
        )
        taken = {pk for (pk,) in cursor.fetchall()}
    for entry in awaited:
        if entry.pk in taken:
            entry.state, entry.problem = EntryState.RECEIVED, ""
    return taken == {entry.pk for entry in awaited}


def _broken(upload: Upload, entry: ManifestEntry) -> str:
    """What went wrong on the way, as a sentence with `{path}` in it."""
    if upload.size > entry.size:
        return f"{{path}} has more than the {entry.size:,} bytes that the manifest says."
    if upload.size < entry.size:
        return f"{{path}} arrived with {upload.size:,} of {entry.size:,} bytes; send it again."
    if upload.sha256 != entry.sha256:
        return f"{{path}} arrived with the SHA-256 {upload.sha256}, which is not what the manifest says; send it again."
    return ""


def _settle(
    submission: Submission, study: Study, *, upload: Upload, facts: Facts | None, problem: str
) -> list[ManifestEntry]:
    """Say in the entries, as they are now, what became of a file."""
    with transaction.atomic():
        media = record(study=study, upload=upload, facts=facts) if facts is not None else None
        # A new manifest, which may forget these lines, waits until this has committed.
        rows = submission.entries.filter(sha256=upload.sha256).select_for_update(of=("self",)).order_by("pk")
        entries = list(rows.select_related("prompt__reference"))
        # Another upload of the same file may have succeeded meanwhile: what is received stays so.
        awaited = [entry for entry in entries if entry.state != EntryState.RECEIVED]
        for entry in awaited:
            if media is not None:
                judge(entry, media, study.modality)
            else:
                entry.state, entry.problem = EntryState.BAD, problem.replace("{path}", entry.path)
        fit = [entry.pk for entry in awaited if entry.state == EntryState.RECEIVED]
        if fit:
            ManifestEntry.objects.filter(pk__in=fit).update(state=EntryState.RECEIVED, problem="", media=media)
        bad = [entry for entry in awaited if entry.state == EntryState.BAD]
        if bad:
            ManifestEntry.objects.bulk_update(bad, ["state", "problem", "media"])
    if not entries:
        raise Conflict(
            f"The manifest was changed while the file {upload.sha256} was on its way and lists it no longer."
        )
    return entries


def _complete_if_last(submission: Submission) -> None:
    if submission.is_complete or submission.entries.outstanding().exists():
        return
    with transaction.atomic():
        locked = lock(submission)
        if not locked.is_complete:
            complete_if_whole(locked)
    submission.state, submission.completed_at = locked.state, locked.completed_at
