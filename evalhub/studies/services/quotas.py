"""How many bytes a study takes, counted where they are promised: before the first of them travels."""

from dataclasses import dataclass

from django.db import connection, transaction

from evalhub.problems import Refusal
from evalhub.studies.models import LogEntry, Study, Submission, User

# A file that is promised several times, or held already, takes its room once.
_PROMISED = """
SELECT coalesce(sum(size), 0) FROM (
    SELECT DISTINCT ON (entry.sha256) entry.size
    FROM studies_manifestentry AS entry
    JOIN studies_submission AS submission ON submission.id = entry.submission_id
    JOIN studies_checkpoint AS checkpoint ON checkpoint.id = submission.checkpoint_id
    WHERE checkpoint.study_id = %(study)s AND entry.state <> 'received' AND NOT EXISTS (
        SELECT FROM studies_media AS media WHERE media.study_id = %(study)s AND media.sha256 = entry.sha256
    )
) AS awaited
"""
_HELD = "SELECT coalesce(sum(size), 0) FROM studies_media WHERE study_id = %(study)s"


class OverQuota(Refusal):
    """More bytes than the study takes."""

    status = 413


@dataclass(frozen=True)
class Usage:
    """The bytes of a study: what it holds, what unfinished submissions promise beside that, what it takes at most."""

    held: int
    promised: int
    quota: int | None

    @property
    def used(self) -> int:
        return self.held + self.promised


def usage(study: Study) -> Usage:
    """What of its quota a study uses; the files of its prompts count as well."""
    with connection.cursor() as cursor:
        amounts = []
        for statement in (_HELD, _PROMISED):
            cursor.execute(statement, {"study": study.pk})
            amounts.append(int(cursor.fetchone()[0]))
    held, promised = amounts
    return Usage(held, promised, study.quota_bytes)


def require_room(*, submission: Submission) -> None:
    """Raises: OverQuota when what the study holds and has been promised is more than it takes.

    Called in the transaction that writes the promise, which takes turns with others of the study until its commit.
    """
    study = submission.checkpoint.study
    if study.quota_bytes is None:
        return
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    found = usage(study)
    if found.quota is None or found.used <= found.quota:
        return
    over = found.used - found.quota
    raise OverQuota(
        f"With these files the study would hold {gigabytes(found.used)}, and its quota is {gigabytes(found.quota)}: "
        f"{gigabytes(over)} too much ({gigabytes(found.held)} are here, {gigabytes(found.promised)} are promised by "
        "this and other unfinished submissions). Send fewer or smaller files, or ask an owner of the study for more.",
        quota_bytes=found.quota,
        held_bytes=found.held,
        promised_bytes=found.promised,
    )


@transaction.atomic
def set_quota(*, study: Study, quota_bytes: int | None, actor: User | None) -> Study:
    """Say how many bytes the study takes; None: as many as there is room for. What is here or promised stays.

    Raises: Refusal when it is no number of bytes.
    """
    if quota_bytes is not None and not 0 < quota_bytes < 2**63:
        raise Refusal(f"A quota is a number of bytes of 1 or more, or nothing for no quota; {quota_bytes} is neither.")
    locked = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    before, locked.quota_bytes = locked.quota_bytes, quota_bytes
    locked.save(update_fields=["quota_bytes"])
    LogEntry.write(study=locked, actor=actor, verb="set quota", subject=locked, before=before, after=quota_bytes)
    return locked


def gigabytes(size: int) -> str:
    """A number of bytes for people."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:,.2f} {name}"
    return f"{size:,} bytes"
