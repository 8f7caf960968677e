"""The cache of features on disk: every file has a row from before it is written until after it is deleted.

Eviction takes rows before files and files before their own row, each step committed, so that whoever dies in between
leaves something that the next round finishes, and nothing that points into the void.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from evalhub.problems import Conflict
from metrics.models import CachedFile, FeatureRow, FileState, ReferenceStatistics, RunState, Shard

# A file that is being written for longer belongs to a process that is gone; its shard's lease ran out long before.
ABANDONED = timedelta(hours=1)
# Uses closer together than this are noted once.
USE_PAUSE = timedelta(minutes=1)
# How far back files are looked through for those that nothing points to.
SEARCHED = timedelta(days=2)
MOST_AT_ONCE = 500
AT_WORK = (RunState.WAITING, RunState.RUNNING, RunState.MERGING)


class FileGone(Conflict):
    """The file was collected before its work was done."""


@dataclass(frozen=True)
class CachedRow:
    """A value for the cache: under which fingerprint and key it is found, and its row in the file."""

    fingerprint: str
    key: str
    row: int


@dataclass
class Evicted:
    """What a round of eviction removed."""

    files: int = 0
    size: int = 0


def begin_file(*, study_id: UUID, path: str) -> str:
    """Announce a file that is about to be written. Returns its path."""
    CachedFile.objects.create(study_id=study_id, path=path)
    return path


def keep_file(*, path: str, size: int) -> CachedFile:
    """The file is whole. To be called in the transaction that says what it is good for.

    Raises: FileGone when it was taken for abandoned meanwhile.
    """
    file = CachedFile.objects.select_for_update().filter(path=path, state=FileState.WRITING).first()
    if file is None:
        raise FileGone(f"The file of features {path} was collected before it was finished; it is computed again.")
    file.state, file.size, file.used_at = FileState.KEPT, size, timezone.now()
    file.save(update_fields=["state", "size", "used_at"])
    return file


def drop_file(*, path: str) -> None:
    """A file that was written for nothing; the next sweep deletes it."""
    CachedFile.objects.filter(path=path, state=FileState.WRITING).update(state=FileState.CONDEMNED)


def keep_rows(*, study_id: UUID, path: str, size: int, rows: Iterable[CachedRow]) -> CachedFile:
    """Keep a file and let later passes find these rows of it; a row that is known already stays where it is."""
    with transaction.atomic():
        file = keep_file(path=path, size=size)
        FeatureRow.objects.bulk_create(
            [
                FeatureRow(study_id=study_id, fingerprint=row.fingerprint, key=row.key, file=file, row=row.row)
                for row in rows
            ],
            batch_size=2000,
            ignore_conflicts=True,
        )
    return file


def note_use(*, files: Iterable[int]) -> None:
    """Something was found in these files just now."""
    now = timezone.now()
    with transaction.atomic():
        # In one order and without waiting: two workers that use the same files do not stand in each other's way.
        stale = CachedFile.objects.filter(pk__in=set(files), used_at__lt=now - USE_PAUSE).order_by("pk")
        held = list(stale.select_for_update(skip_locked=True).values_list("pk", flat=True))
        CachedFile.objects.filter(pk__in=held).update(used_at=now)


def lock_kept_files(*, paths: Iterable[str]) -> set[str]:
    """Those of these files that are still kept; none of them is evicted before the caller's transaction ends."""
    kept = CachedFile.objects.select_for_update().filter(path__in=list(paths), state=FileState.KEPT).order_by("pk")
    return {file.path for file in kept}


def cache_size() -> int:
    """Bytes of all files that are kept."""
    return CachedFile.objects.filter(state=FileState.KEPT).aggregate(size=Sum("size"))["size"] or 0


def evict(*, limit: int | None = None) -> Evicted:
    """Delete what died while it was written, what nothing points to, and the least recently used above the limit.

    Never a file that an unfinished run needs. At most a few hundred files at a time: the sweep comes again.

    Args: limit: bytes that may stay; without it the setting's.
    """
    limit = settings.FEATURE_CACHE_BYTES if limit is None else limit
    _condemn(CachedFile.objects.filter(state=FileState.WRITING, created_at__lt=timezone.now() - ABANDONED))
    _condemn(_pointless())
    _condemn(_oldest_above(limit))
    return _delete_condemned()


def _needed() -> QuerySet[Shard, str]:
    """Paths of the blocks that some run has yet to merge."""
    return Shard.objects.filter(run__state__in=AT_WORK).exclude(block="").values_list("block", flat=True)


def _pointless() -> QuerySet[CachedFile]:
    """Kept for one merge that has been, or doubled by another: no row and no reference points to them."""
    rows = FeatureRow.objects.filter(file=OuterRef("pk"))
    statistics = ReferenceStatistics.objects.filter(file=OuterRef("pk"))
    # Of the younger ones only, which bounds the search; what is older goes when it is its turn.
    young = CachedFile.objects.filter(state=FileState.KEPT, created_at__gt=timezone.now() - SEARCHED)
    return young.filter(~Exists(rows), ~Exists(statistics)).exclude(path__in=_needed())


def _oldest_above(limit: int) -> QuerySet[CachedFile]:
    too_much = cache_size() - limit
    chosen: list[int] = []
    if too_much > 0:
        kept = CachedFile.objects.filter(state=FileState.KEPT).exclude(path__in=_needed()).order_by("used_at", "pk")
        for pk, size in kept.values_list("pk", "size")[:MOST_AT_ONCE]:
            if too_much <= 0:
                break
            chosen.append(pk)
            too_much -= size
    return CachedFile.objects.filter(pk__in=chosen)


def _condemn(files: QuerySet[CachedFile]) -> None:
    """Take the rows of these files out of the index, and mark the files, in one step."""
    with transaction.atomic():
        locked = {
            file.pk: file.path
            for file in files.order_by("pk").select_for_update(skip_locked=True, of=("self",))[:MOST_AT_ONCE]
        }
        # Asked anew under the locks: a run that was retried a moment ago holds its blocks' locks until it says so.
        needed = set(_needed().filter(block__in=locked.values()))
        condemned = [pk for pk, path in locked.items() if path not in needed]
        FeatureRow.objects.filter(file__in=condemned).delete()
        ReferenceStatistics.objects.filter(file__in=condemned).delete()
        CachedFile.objects.filter(pk__in=condemned).update(state=FileState.CONDEMNED)


def _delete_condemned() -> Evicted:
    evicted = Evicted()
    for file in CachedFile.objects.filter(state=FileState.CONDEMNED).order_by("pk")[:MOST_AT_ONCE]:
        default_storage.delete(file.path)
        evicted.files += CachedFile.objects.filter(pk=file.pk, state=FileState.CONDEMNED).delete()[0]
        evicted.size += file.size
    return evicted


def collect_orphans() -> Evicted:
    """Delete files of features that no row names: of studies that are gone, or of a database put back from a backup."""
    evicted = Evicted()
    for folder in _folders_of_features():
        _, names = default_storage.listdir(folder)
        paths = {f"{folder}/{name}" for name in names}
        paths -= set(CachedFile.objects.filter(path__in=paths).values_list("path", flat=True))
        for path in paths:
            if default_storage.get_modified_time(path) < timezone.now() - ABANDONED:
                evicted.size += default_storage.size(path)
                default_storage.delete(path)
                evicted.files += 1
    return evicted


def _folders_of_features() -> Iterator[str]:
    """Where blocks and references' statistics lie: studies/STUDY/blocks/RUN and studies/STUDY/references/REFERENCE."""
    for study in _folders_in("studies"):
        for kind in ("blocks", "references"):
            if kind in _folders_in(f"studies/{study}"):
                yield from (f"studies/{study}/{kind}/{name}" for name in _folders_in(f"studies/{study}/{kind}"))


def _folders_in(folder: str) -> list[str]:
    try:
        return sorted(default_storage.listdir(folder)[0])
    except FileNotFoundError:
        return []
