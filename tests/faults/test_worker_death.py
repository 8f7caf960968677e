"""kill -9 of a worker that holds a lease, of its child alone, and of Redis, in a whole running system.

Each time the run completes by itself, with the very bits of a run that nobody disturbed.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from tests.systems import SOURCE, System, running
from tests.workers import real_weights

pytestmark = pytest.mark.timeout(900)

SETTINGS = {"SHARD_LEASE_SECONDS": "10", "SWEEP_SECONDS": "1", "SHARD_SIZE": "4"}
# By its folder: some installed packages leave a package called `tests` behind, which a plain process finds first.
START = f"""
import os
import sys
sys.path.insert(0, {str(SOURCE / "tests" / "metrics")!r})
from material import photograph_submission
from evalhub.studies.models import Submission, User
from metrics import services
from metrics.models import CachedFile
# Nothing that an earlier run computed may be found again.
CachedFile.objects.all().delete()
submission = Submission.objects.first() or photograph_submission(12)
actor = User.objects.get_or_create(username="rita")[0]
print(services.start_run(submission=submission, metrics=["fid", "lpips"], actor=actor).pk, flush=True)
# At once: while this process took itself apart, the worker would come too far.
os._exit(0)
"""


@dataclass
class Watched:
    """A running system and a look into its database."""

    system: System
    settings: dict[str, str]

    def start_run(self, **settings: str) -> str:
        command = [sys.executable, str(SOURCE / "manage.py"), "shell", "--no-imports", "-c", START]
        environment = {**self.system.environment, **SETTINGS, **settings}
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[
            -1
        ]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg2.connect(self.settings["DATABASE_URL"]) as connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def wait_for_lease(self, run: str) -> None:
        leased = "SELECT 1 FROM metrics_shard WHERE run_id = %s AND state = 'leased'"
        self.wait_until(lambda: bool(self.rows(leased, run)), "no shard was claimed")

    def wait_for_end(self, run: str) -> None:
        ended = "SELECT 1 FROM metrics_run WHERE id = %s AND finished_at IS NOT NULL"
        self.wait_until(lambda: bool(self.rows(ended, run)), "the run did not end")

    def wait_until(self, happened: Callable[[], bool], otherwise: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"After {seconds} s {otherwise}:\n{self.system.logs()}"
            time.sleep(0.05)

    def attempts(self, run: str) -> list[int]:
        """How often each shard was begun, the most often begun first."""
        counts = "SELECT attempts FROM metrics_shard WHERE run_id = %s ORDER BY attempts DESC"
        return [attempts for (attempts,) in self.rows(counts, run)]

    def result(self, run: str) -> list[tuple[Any, ...]]:
        """The run's state and every number of its scores, per sample too."""
        scores = "SELECT metric, value, low, high, n, fingerprint FROM metrics_score WHERE run_id = %s ORDER BY metric"
        samples = (
            "SELECT metric, sample_id, metrics_samplescore.value FROM metrics_samplescore "
            "JOIN metrics_score ON metrics_score.id = score_id WHERE run_id = %s ORDER BY metric, sample_id"
        )
        state = "SELECT state, error FROM metrics_run WHERE id = %s"
        return [*self.rows(state, run), *self.rows(scores, run), *self.rows(samples, run)]

    def gpu_worker(self) -> tuple[int, int]:
        """The worker that computes shards: its process and its child's."""
        family = {
            process: parent_of(process)
            for process, command in self.system.processes().items()
            if "--queues gpu" in command
        }
        [(child, parent)] = [(process, parent) for process, parent in family.items() if parent in family]
        return parent, child

    def redis_server(self) -> int:
        [process] = [process for process, command in self.system.processes().items() if "redis-server" in command]
        return process


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    weights = real_weights(tmp_path_factory.mktemp("site") / "weights")
    with running(EVALHUB_WEIGHTS=str(weights), **SETTINGS) as system:
        lines = (system.home / "environment").read_text().splitlines()
        yield Watched(system, dict(shlex.split(line)[0].split("=", 1) for line in lines))


@pytest.fixture(scope="module")
def undisturbed(watched: Watched) -> list[tuple[Any, ...]]:
    """What the run gives when nothing dies."""
    run = watched.start_run()
    watched.wait_for_end(run)
    assert watched.attempts(run) == [1, 1, 1]
    result = watched.result(run)
    assert result[0] == ("done", "")
    assert [row[0] for row in result[1:3]] == ["fid", "lpips"]
    return result


def test_a_worker_killed_with_a_lease(watched: Watched, undisturbed: list[tuple[Any, ...]]) -> None:
    run = watched.start_run()
    watched.wait_for_lease(run)
    worker, _ = watched.gpu_worker()
    os.kill(worker, signal.SIGKILL)

    watched.wait_for_end(run)

    assert watched.attempts(run) == [2, 1, 1]
    assert watched.result(run) == undisturbed


def test_a_killed_childs_shard_comes_back_at_once(watched: Watched, undisturbed: list[tuple[Any, ...]]) -> None:
    run = watched.start_run(SHARD_SIZE="12")
    watched.wait_for_lease(run)
    worker, child = watched.gpu_worker()
    os.kill(child, signal.SIGKILL)

    watched.wait_for_end(run)

    assert watched.gpu_worker()[0] == worker
    assert watched.attempts(run) == [2]
    # Celery's own redelivery brought it back: the lease was given up, and did not run out.
    [(error,)] = watched.rows("SELECT error FROM metrics_shard WHERE run_id = %s", run)
    assert error.endswith(f"process {child} was killed.")
    assert watched.result(run) == undisturbed


def test_redis_killed_under_a_run(watched: Watched, undisturbed: list[tuple[Any, ...]]) -> None:
    run = watched.start_run()
    watched.wait_for_lease(run)
    os.kill(watched.redis_server(), signal.SIGKILL)

    watched.wait_for_end(run)

    assert watched.result(run) == undisturbed
    # The worker at work went on; what it held was not computed twice.
    assert watched.attempts(run) == [1, 1, 1]


def test_worker_and_redis_killed_together_and_every_ring_lost(
    watched: Watched, undisturbed: list[tuple[Any, ...]]
) -> None:
    run = watched.start_run()
    watched.wait_for_lease(run)
    worker, _ = watched.gpu_worker()
    os.kill(watched.redis_server(), signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    with redis.Redis.from_url(watched.settings["REDIS_URL"]) as client:
        watched.wait_until(lambda: answers(client), "Redis did not come back", seconds=60)
        client.flushall()

    watched.wait_for_end(run)

    assert watched.attempts(run) == [2, 1, 1]
    assert watched.result(run) == undisturbed


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False
