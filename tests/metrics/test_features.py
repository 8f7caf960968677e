"""The cache of features: what it keeps, what goes first, and what is never taken from under a run."""

import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from evalhub.studies.models import Study, Submission
from metrics import services
from metrics.models import CachedFile, FeatureRow, FileState, ReferenceStatistics, RunState, ShardState
from metrics.services.features import ABANDONED, FileGone
from tests.metrics.material import claimed, finish

pytestmark = pytest.mark.django_db

MakeSubmission = Callable[..., Submission]
ENOUGH = 2**40


@pytest.fixture
def study() -> Study:
    return Study.objects.create(slug="cached", name="Cached")


def written(study: Study, name: str, size: int = 10) -> str:
    """A file that lies in storage under its own row."""
    path = services.begin_file(study_id=study.pk, path=f"studies/{study.pk}/blocks/run/{name}")
    default_storage.save(path, ContentFile(bytes(size)))
    return path


def kept(study: Study, name: str, *, days_unused: float = 0, size: int = 10) -> str:
    """A file with one row that was last used so many days ago."""
    path = written(study, name, size)
    row = services.CachedRow(fingerprint="f", key=name, row=0)
    services.keep_rows(study_id=study.pk, path=path, size=size, rows=[row])
    CachedFile.objects.filter(path=path).update(used_at=timezone.now() - timedelta(days=days_unused))
    return path


def keys() -> set[str]:
    return set(FeatureRow.objects.values_list("key", flat=True))


def test_the_least_recently_used_goes_first_and_only_as_much_as_it_takes(study: Study) -> None:
    paths = {days: kept(study, f"{days} days", days_unused=days) for days in (1, 4, 2, 3)}

    assert services.evict(limit=20) == services.Evicted(files=2, size=20)

    assert keys() == {"1 days", "2 days"}
    assert [days for days in (1, 2, 3, 4) if default_storage.exists(paths[days])] == [1, 2]
    assert services.cache_size() == 20
    assert services.evict(limit=20) == services.Evicted()


def test_a_use_makes_a_file_young_again(study: Study) -> None:
    kept(study, "old", days_unused=9)
    kept(study, "middle", days_unused=5)
    services.note_use(files=[CachedFile.objects.get(rows__key="old").pk])
    services.evict(limit=10)
    assert keys() == {"old"}


def test_the_sweep_keeps_to_the_limit_of_the_settings(study: Study, settings: Settings) -> None:
    kept(study, "one")
    kept(study, "other", days_unused=1)
    assert services.sweep().evicted == 0
    settings.FEATURE_CACHE_BYTES = 15
    assert services.sweep().evicted == 1
    assert keys() == {"one"}


def test_what_a_file_of_statistics_stood_for_goes_with_it(grey_submission: MakeSubmission) -> None:
    study = grey_submission(2).checkpoint.study
    reference = services.default_reference(study=study)
    assert reference is not None
    path = written(study, "statistics")
    services.keep_reference_statistics(reference=reference, fingerprint="f", path=path, size=10, n=2)
    assert services.evict(limit=ENOUGH) == services.Evicted()
    assert services.evict(limit=0).files == 1
    assert not ReferenceStatistics.objects.exists()


def test_the_second_to_bring_the_same_statistics_is_collected(grey_submission: MakeSubmission) -> None:
    study = grey_submission(2).checkpoint.study
    reference = services.default_reference(study=study)
    assert reference is not None
    for name in ("first", "second"):
        path = written(study, name)
        services.keep_reference_statistics(reference=reference, fingerprint="f", path=path, size=10, n=2)
    assert services.evict(limit=ENOUGH).files == 1
    assert ReferenceStatistics.objects.get().file.path.endswith("first")


def test_a_block_is_kept_for_its_merge_and_goes_after_it(grey_submission: MakeSubmission, settings: Settings) -> None:
    settings.SHARD_SIZE = 1
    run = services.start_run(submission=grey_submission(2))
    for shard in run.shards.all():
        finish(claimed(shard), cached=[services.CachedRow(fingerprint="f", key=f"{shard.index}", row=0)], size=10)

    assert services.evict(limit=0) == services.Evicted()

    merge = services.claim_merge(run_id=run.pk)
    assert merge is not None
    services.finish_merge(run_id=run.pk, token=merge.merge_token, results=[])
    assert services.evict(limit=ENOUGH) == services.Evicted()
    assert services.evict(limit=0).files == 2


def test_a_merged_block_with_nothing_new_in_it_goes_at_once(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(2))
    finish(claimed(run.shards.get()))
    merge = services.claim_merge(run_id=run.pk)
    assert merge is not None
    services.finish_merge(run_id=run.pk, token=merge.merge_token, results=[])
    assert services.evict(limit=ENOUGH).files == 1


def test_the_block_of_an_attempt_that_came_too_late_goes(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(2))
    shard = claimed(run.shards.get())
    services.cancel_run(run=run, actor=None)
    with pytest.raises(services.StaleLease):
        finish(shard)
    [file] = CachedFile.objects.all()
    assert file.state == FileState.WRITING
    services.drop_file(path=file.path)
    services.evict(limit=ENOUGH)
    assert not CachedFile.objects.exists()


def test_what_died_while_it_was_written_is_collected_after_an_hour(study: Study) -> None:
    path = written(study, "half")
    assert services.evict(limit=0) == services.Evicted()
    CachedFile.objects.update(created_at=timezone.now() - ABANDONED)
    assert services.evict(limit=ENOUGH).files == 1
    assert not default_storage.exists(path)
    with pytest.raises(FileGone):
        services.keep_rows(study_id=study.pk, path=path, size=10, rows=[])


def test_a_round_that_died_between_rows_and_files_is_finished_by_the_next(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kept(study, "a")

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(default_storage, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        services.evict(limit=0)
    # Nothing points to a file that may be gone: the rows went first.
    assert not FeatureRow.objects.exists()
    assert CachedFile.objects.get().state == FileState.CONDEMNED
    assert default_storage.exists(path)
    monkeypatch.undo()

    assert services.evict(limit=ENOUGH).files == 1
    assert not default_storage.exists(path)
    assert not CachedFile.objects.exists()


def test_a_retry_computes_again_what_was_evicted_meanwhile(grey_submission: MakeSubmission, settings: Settings) -> None:
    settings.SHARD_SIZE = 1
    run = services.start_run(submission=grey_submission(3))
    for shard in run.shards.all()[:2]:
        finish(claimed(shard), cached=[services.CachedRow(fingerprint="f", key=f"{shard.index}", row=0)], size=10)
    services.cancel_run(run=run, actor=None)
    CachedFile.objects.filter(rows__key="0").update(used_at=timezone.now() - timedelta(days=1))
    services.evict(limit=10)

    run = services.retry_run(run=run, actor=None)

    assert list(run.shards.values_list("state", flat=True)) == ["waiting", "done", "waiting"]
    assert services.evict(limit=0) == services.Evicted()


@pytest.mark.django_db(transaction=True)
def test_a_retry_and_an_eviction_at_once_leave_no_done_shard_without_its_block(
    grey_submission: MakeSubmission, settings: Settings
) -> None:
    settings.SHARD_SIZE = 1
    run = services.start_run(submission=grey_submission(8))
    for shard in run.shards.all():
        finish(claimed(shard), cached=[services.CachedRow(fingerprint="f", key=f"{shard.index}", row=0)], size=10)
    for _ in range(4):
        services.cancel_run(run=run, actor=None)

        def act(turn: int) -> None:
            try:
                services.retry_run(run=run, actor=None) if turn else services.evict(limit=40)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(act, (0, 1)))
        done = run.shards.filter(state=ShardState.DONE).values_list("block", flat=True)
        assert set(done) <= set(CachedFile.objects.filter(state=FileState.KEPT).values_list("path", flat=True))
        run.refresh_from_db()
        assert run.state in (RunState.RUNNING, RunState.MERGING)


@pytest.mark.django_db(transaction=True)
def test_a_file_that_somebody_holds_is_passed_over(study: Study) -> None:
    kept(study, "held", days_unused=2)
    kept(study, "free", days_unused=1)

    def evict() -> services.Evicted:
        try:
            return services.evict(limit=0)
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as thread:
        CachedFile.objects.select_for_update().get(rows__key="held")
        assert thread.submit(evict).result().files == 1
    assert keys() == {"held"}


def test_a_file_that_no_row_names_is_collected_once_it_is_old(study: Study) -> None:
    named = kept(study, "named")
    lost = default_storage.save(f"studies/{study.pk}/references/7/lost", ContentFile(b"12345"))
    gone = default_storage.save("studies/of-nobody/blocks/run/lost", ContentFile(b"123"))
    picture = default_storage.save(f"studies/{study.pk}/media/ab/picture", ContentFile(b"1"))
    assert services.collect_orphans() == services.Evicted()

    long_ago = time.time() - ABANDONED.total_seconds() - 60
    for path in (named, lost, gone, picture):
        os.utime(default_storage.path(path), (long_ago, long_ago))

    assert services.collect_orphans() == services.Evicted(files=2, size=8)
    assert [default_storage.exists(path) for path in (named, lost, gone, picture)] == [True, False, False, True]
    # The test's end takes its row and leaves it.
    default_storage.delete(named)


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("features", *arguments, stdout=out)
    return out.getvalue()


def test_the_operator_sees_sizes_and_makes_room(study: Study, settings: Settings) -> None:
    kept(study, "new", size=2048)
    kept(study, "old", size=2048, days_unused=3)
    told = said("list")
    assert "cached: 2 files, 4.0 KB; the longest unused since" in told
    assert "In all 4.0 KB of 50.0 GB (EVALHUB_FEATURE_CACHE_BYTES)." in told

    assert said("evict") == "Nothing to delete; the cache holds 4.0 KB.\n"
    assert said("evict", "--to", "2KiB") == "Deleted 1 file, 2.0 KB; 2.0 KB stay.\n"
    assert keys() == {"new"}
    with pytest.raises(CommandError, match=r"expected a size such as 500M or 20G, got “much”"):
        said("evict", "--to", "much")


def test_the_operator_is_told_what_runs_still_need(grey_submission: MakeSubmission) -> None:
    run = services.start_run(submission=grey_submission(2))
    finish(claimed(run.shards.get()), cached=[services.CachedRow(fingerprint="f", key="a", row=0)], size=10)
    kept(run.submission.checkpoint.study, "other")
    with pytest.raises(CommandError, match="Unfinished runs need what is left above the limit"):
        said("evict", "--to", "0")
    assert keys() == {"a"}
