"""One promised file after the other, whole or in pieces: hashed, decoded under limits, stored, marked.

Nothing is locked while bytes travel or are decoded. What a file changes is one transaction; whether it was the last
is asked after its commit, so that of two last files at once the later one sees both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from django.db import connection, transaction

from evalhub.problems import Conflict
from evalhub.studies.inspection import Facts, Undecodable, inspect
from evalhub.studies.models import EntryState, ManifestEntry, Study, Submission
from evalhub.studies.services import parts
from evalhub.studies.services.media import Stream, Upload, put_away, record, uploaded
from evalhub.studies.services.submissions import complete_if_whole, judge, lock

FACTS = [field.name for field in fields(Facts)]
# What nearly all files take: their rows, written or found, and their entries, where they will do, in one statement.
# A manifest that changes meanwhile, and so locks the submission, comes before it or after it. Rows are taken in the
# order of their hashes, so that of two who bring the same files one waits for the other.
_TAKE_FIT = """
WITH promise AS MATERIALIZED (
    SELECT id FROM studies_submission WHERE id = %(submission)s FOR KEY SHARE
), kept AS (
    INSERT INTO studies_media
        (study_id, sha256, size, kind, format, width, height, frames, duration, fps, codec, created_at)
    SELECT %(study)s, arrived.*, now()
    FROM promise, unnest(%(sha256)s::text[], %(size)s::bigint[], %(kind)s::text[], %(format)s::text[],
        %(width)s::int[], %(height)s::int[], %(frames)s::int[], %(duration)s::float[], %(fps)s::float[],
        %(codec)s::text[]) AS arrived (sha256, size, kind, format, width, height, frames, duration, fps, codec)
    ORDER BY arrived.sha256
    ON CONFLICT (study_id, sha256) DO UPDATE SET sha256 = excluded.sha256
    RETURNING id, sha256, size, kind, width, height
)
UPDATE studies_manifestentry AS entry SET state = %(received)s, problem = '', media_id = kept.id
FROM kept, studies_prompt AS prompt
LEFT JOIN studies_media AS reference ON reference.id = prompt.reference_id
WHERE entry.submission_id = %(submission)s AND entry.sha256 = kept.sha256 AND entry.state <> %(received)s
    AND prompt.id = entry.prompt_id
    AND kept.size = entry.size AND kept.kind = %(modality)s
    AND (reference.id IS NULL OR (kept.width, kept.height) = (reference.width, reference.height))
RETURNING entry.id
"""


@dataclass(frozen=True)
class Arrived:
    """A promised file that is here whole, the entries that it answers, and what it is; or a sentence why it is none.

    The sentence has `{path}` in it, for each entry's own.
    """

    entries: list[ManifestEntry]
    upload: Upload
    facts: Facts | None = None
    problem: str = ""

    def judged(self, found: Facts | Undecodable) -> "Arrived":
        """With what the decoder said."""
        if isinstance(found, Facts):
            return replace(self, facts=found)
        return replace(self, problem=f"{{path}} {found}.")


def receive_file(*, submission: Submission, sha256: str, stream: Stream) -> list[ManifestEntry]:
    """Take one promised file, and complete the submission if it was the last.

    The stream goes to a file, is hashed, decoded under limits and stored. A file that does not do makes its entries
    `bad`, with the reason; sent again, it is tried again. A file that is here is not read.

    Returns: the entries that this file answers, in their new state; `submission.state` is the new one too.
    Raises: Conflict when the manifest does not promise the file (any more); NoRoom, and nothing changes.
    """
    entries = promised(submission, sha256)
    if all_received(entries):
        complete_if_last(submission)
        return entries
    with uploaded(stream, most=entries[0].size) as upload:
        entries = _take(submission, entries, upload)
    parts.forget(submission.pk, sha256)
    complete_if_last(submission)
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
    if all_received(entries):
        complete_if_last(submission)
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
    complete_if_last(submission)
    return size, promised(submission, sha256)


def offset(*, submission: Submission, sha256: str) -> tuple[int, list[ManifestEntry]]:
    """How many bytes of a promised file are here, and the entries that it answers. Raises: Conflict, as above."""
    entries = promised(submission, sha256)
    return (entries[0].size if all_received(entries) else parts.size(submission.pk, sha256)), entries


def part_sizes(submission: Submission) -> dict[str, int]:
    """How many bytes are here of each file that has come in part, by hash."""
    return parts.sizes(submission.pk)


def promised(submission: Submission, sha256: str) -> list[ManifestEntry]:
    """The entries that a file answers. Raises: Conflict when there is none."""
    entries = list(submission.entries.filter(sha256=sha256))
    if not entries:
        raise Conflict(f"This submission's manifest promises no file with SHA-256 {sha256}; post the manifest again.")
    return entries


def all_received(entries: Sequence[ManifestEntry]) -> bool:
    return all(entry.state == EntryState.RECEIVED for entry in entries)


def broken(upload: Upload, entry: ManifestEntry) -> str:
    """What went wrong on the way, as a sentence with `{path}` in it; nothing if all went well."""
    if upload.size > entry.size:
        return f"{{path}} has more than the {entry.size:,} bytes that the manifest says."
    if upload.size < entry.size:
        return f"{{path}} arrived with {upload.size:,} of {entry.size:,} bytes; send it again."
    if upload.sha256 != entry.sha256:
        return f"{{path}} arrived with the SHA-256 {upload.sha256}, which is not what the manifest says; send it again."
    return ""


def take_all(submission: Submission, arrived: Sequence[Arrived]) -> list[list[ManifestEntry]]:
    """Store the files that will do, each hash once among them, and say in the entries of all what became of them.

    Returns: each file's entries in their new state; none where a new manifest has forgotten it meanwhile.
    """
    study = submission.checkpoint.study
    fit = [each for each in arrived if each.facts is not None]
    for each in fit:
        put_away(study=study, upload=each.upload)
    taken = _take_fit(submission, study, fit)
    return [
        each.entries if _is_taken(each, taken) else _settle(submission, study, each)  # few
        for each in arrived
    ]


def complete_if_last(submission: Submission) -> None:
    """Complete the submission if all its files are here now."""
    if submission.is_complete or submission.entries.outstanding().exists():
        return
    with transaction.atomic():
        locked = lock(submission)
        if not locked.is_complete:
            complete_if_whole(locked)
    submission.state, submission.completed_at = locked.state, locked.completed_at


def _take(submission: Submission, entries: list[ManifestEntry], upload: Upload) -> list[ManifestEntry]:
    """Look into a file, store it if it will do, and say in its entries what became of it."""
    arrived = Arrived(entries, upload, problem=broken(upload, entries[0]))
    if not arrived.problem:
        try:
            arrived = arrived.judged(inspect(upload.path, [submission.checkpoint.study.modality]))
        except Undecodable as reason:
            arrived = arrived.judged(reason)
    (taken,) = take_all(submission, [arrived])
    if not taken:
        raise Conflict(
            f"The manifest was changed while the file {upload.sha256} was on its way and lists it no longer."
        )
    return taken


def _take_fit(submission: Submission, study: Study, fit: Sequence[Arrived]) -> set[int]:
    """The entries that are received now."""
    if not fit:
        return set()
    told: dict[str, Any] = {
        "study": study.pk,
        "modality": study.modality,
        "submission": submission.pk,
        "received": EntryState.RECEIVED.value,
        "sha256": [each.upload.sha256 for each in fit],
        "size": [each.upload.size for each in fit],
    }
    told |= {name: [getattr(each.facts, name) for each in fit] for name in FACTS}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_FIT, told)
        return {pk for (pk,) in cursor.fetchall()}


def _is_taken(arrived: Arrived, taken: set[int]) -> bool:
    """Whether all its entries that were awaited are received now; if not, they have changed or it does not fit."""
    awaited = [entry for entry in arrived.entries if entry.state != EntryState.RECEIVED]
    if not taken.issuperset(entry.pk for entry in awaited):
        return False
    for entry in awaited:
        entry.state, entry.problem = EntryState.RECEIVED, ""
    return True


def _settle(submission: Submission, study: Study, arrived: Arrived) -> list[ManifestEntry]:
    """Say in the entries, as they are now, what became of a file."""
    upload, facts = arrived.upload, arrived.facts
    with transaction.atomic():
        media = record(study=study, upload=upload, facts=facts) if facts is not None else None
        # A new manifest, which may forget these lines, waits until this has committed.
        sha256 = arrived.entries[0].sha256
        rows = submission.entries.filter(sha256=sha256).select_for_update(of=("self",)).order_by("pk")
        entries = list(rows.select_related("prompt__reference"))
        # Another upload of the same file may have succeeded meanwhile: what is received stays so.
        awaited = [entry for entry in entries if entry.state != EntryState.RECEIVED]
        for entry in awaited:
            if media is not None:
                judge(entry, media, study.modality)
            else:
                entry.state, entry.problem = EntryState.BAD, arrived.problem.replace("{path}", entry.path)
        fit = [entry.pk for entry in awaited if entry.state == EntryState.RECEIVED]
        if fit:
            ManifestEntry.objects.filter(pk__in=fit).update(state=EntryState.RECEIVED, problem="", media=media)
        bad = [entry for entry in awaited if entry.state == EntryState.BAD]
        if bad:
            ManifestEntry.objects.bulk_update(bad, ["state", "problem", "media"])
    return entries
