"""The Celery tasks. Torch is imported inside them, in the worker's child: a process that forks after torch has run in
several threads hangs its children, and the light tasks need none of it."""

import logging
import os
from functools import partial
from uuid import UUID

from celery import Task, shared_task

from evalhub.problems import Refusal
from evalhub.studies.models import Submission
from metrics import services
from metrics.models import Shard, ShardState
from metrics.tasks.lease import Lease

log = logging.getLogger(__name__)


@shared_task(name="metrics.score_submission")
def score_submission(submission_id: str) -> None:
    """Start the automatic run of a submission that has become complete."""
    submission = Submission.objects.select_related("checkpoint__study").get(pk=submission_id)
    try:
        services.start_run(submission=submission)
    except Refusal as refusal:
        log.info("%s is not scored by itself: %s", submission.checkpoint, refusal)


@shared_task(name="metrics.score_shard", bind=True)
def score_shard(self: Task, shard_id: int) -> None:
    """Compute one shard, unless another worker has it, it is done, or its run has ended."""
    worker = _worker_name(self.request.hostname)
    _release_if_its_worker_died(shard_id, worker)
    shard = services.claim_shard(shard_id=shard_id, worker=worker)
    if shard is None:
        return
    with Lease(partial(services.renew_lease, shard_id=shard.pk, token=shard.token)) as lease:
        # Loading torch alone takes seconds: the lease is kept from here on.
        from metrics.tasks.scoring import score

        score(shard, lease)


@shared_task(name="metrics.merge_run")
def merge_run(run_id: str) -> None:
    """Turn a run's blocks into its scores, unless another worker is doing so or the run has ended."""
    run = services.claim_merge(run_id=UUID(run_id))
    if run is None:
        return

    def renew(*, done: int, stage: str) -> bool:
        return services.renew_merge(run_id=run.pk, token=run.merge_token, stage=stage)

    with Lease(renew) as lease:
        from metrics.tasks.merging import merge

        merge(run, lease)


@shared_task(name="metrics.find_duplicates")
def find_duplicates(search_id: int) -> None:
    """Search a submission for near-duplicates, unless another worker is at it or it was done."""
    found = services.claim_search(search_id=search_id)
    if found is None:
        return
    from metrics.tasks.duplicates import search

    search(found)


@shared_task(name="metrics.sweep")
def sweep() -> None:
    """Bring forward whatever has come to a stand."""
    swept = services.sweep()
    if swept != services.Swept():
        log.info("Swept: %s", swept)


@shared_task(name="metrics.collect_orphans")
def collect_orphans() -> None:
    """Delete files of features that no row names; the sweep sees to all others."""
    if (evicted := services.collect_orphans()).files:
        log.info("Collected files that nothing names: %s", evicted)


def _worker_name(hostname: str) -> str:
    return f"{hostname} process {os.getpid()}"


def _release_if_its_worker_died(shard_id: int, worker: str) -> None:
    """Celery delivers a killed child's task again at once; the dead child's lease need not run out first.

    Only a process of this very worker is judged, by whether it still lives here.
    """
    holder = Shard.objects.filter(pk=shard_id, state=ShardState.LEASED).values_list("worker", flat=True).first()
    if holder is None or holder.rpartition(" ")[0] != worker.rpartition(" ")[0]:
        return
    if not _alive(int(holder.rpartition(" ")[2])):
        services.release_dead_worker(shard_id=shard_id, worker=holder)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
