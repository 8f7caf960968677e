"""What the tests of the metrics room share."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis
from pytest_django import Settings

from evalhub.studies.models import Membership, Role, Study, Submission, User
from evalhub.supervisor import Child
from metrics.models import Run, Shard
from metrics.tasks import merge_run, score_shard
from tests.metrics.material import grey, make_study, submit
from tests.workers import no_other_worker, real_weights, wait_for, worker


@pytest.fixture
def grey_submission() -> Callable[..., Submission]:
    """Call it for a complete submission of small grey pictures: for tests that compute nothing."""

    def make(count: int = 5, *, references: bool = True, captions: bool = True, side: int = 8) -> Submission:
        originals = [grey(level) if references else None for level in range(count)]
        study = make_study(originals, captions=captions)
        return submit(study, [grey(100 + level, side) for level in range(count)])

    return make


@pytest.fixture
def researcher() -> User:
    return User.objects.create_user("rita", password="a long password")


@pytest.fixture
def join(researcher: User) -> Callable[[Study], User]:
    def as_researcher(study: Study) -> User:
        Membership.objects.create(study=study, user=researcher, role=Role.RESEARCHER)
        return researcher

    return as_researcher


@pytest.fixture
def doorbell() -> Iterator["redis.Redis"]:
    """The test run's Redis with empty queues."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.delete("gpu", "default")
        yield client
        client.delete("gpu", "default")


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real weights of FID and LPIPS, and nothing else."""
    return real_weights(tmp_path_factory.mktemp("site") / "weights")


@pytest.fixture
def compute(
    weights_folder: Path, settings: Settings, transactional_db: None, doorbell: redis.Redis
) -> Iterator[Callable[..., Run]]:
    """Computes a run in this process, its shards in the order given, and merges it: what a worker's tasks do."""
    settings.WEIGHTS_FOLDER = weights_folder

    def now(run: Run, shards: Sequence[Shard] | None = None) -> Run:
        for shard in shards or run.shards.all():
            score_shard.apply(args=[shard.pk], throw=True)
        merge_run.apply(args=[str(run.pk)], throw=True)
        run.refresh_from_db()
        return run

    with no_other_worker():
        yield now


@pytest.fixture(scope="module")
def _scoring_worker(django_db_setup: None, weights_folder: Path) -> Iterator[Child]:
    with worker("scoring", EVALHUB_WEIGHTS=str(weights_folder)) as child:
        yield child


@pytest.fixture
def scoring_worker(_scoring_worker: Child, transactional_db: None, doorbell: redis.Redis) -> Child:
    """A real worker that has the weights of FID and LPIPS and no CLIP."""
    return _scoring_worker


@pytest.fixture
def score(scoring_worker: Child) -> Callable[[Run], Run]:
    """Waits until the worker has ended a run, and returns it as it is then."""

    def until_ended(run: Run) -> Run:
        wait_for(lambda: Run.objects.filter(pk=run.pk, finished_at__isnull=False).exists(), scoring_worker)
        run.refresh_from_db()
        return run

    return until_ended
