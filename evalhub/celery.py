"""The Celery application. Postgres is the truth and Celery the doorbell: every task may run twice or late, and a beat
sweep rings again for whatever the database says is still to do."""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from evalhub.orphans import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalhub.settings")

log = logging.getLogger(__name__)

app = Celery("evalhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    broker_transport="evalhub.broker:Transport",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Longer than any task: a redelivery by time-out would run one twice. A dead worker's shard returns by its lease.
    broker_transport_options={
        "visibility_timeout": 6 * 3600,
        "socket_connect_timeout": 2,
        "retry_policy": {"timeout": 2},
    },
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="default",
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_routes={"metrics.score_shard": {"queue": "gpu"}, "metrics.merge_run": {"queue": "gpu"}},
)
app.conf.beat_schedule = {
    name: {"task": name, "schedule": settings.SWEEP_SECONDS, "options": {"expires": settings.SWEEP_SECONDS}}
    for name in ("studies.sweep", "metrics.sweep", "raters.sweep", "leaderboard.sweep")
}
app.conf.beat_schedule["metrics.collect_orphans"] = {
    "task": "metrics.collect_orphans",
    "schedule": 3600,
    "options": {"expires": 3600},
}
app.autodiscover_tasks(["evalhub.studies", "raters", "metrics", "evalhub.leaderboard"])


@worker_init.connect
def _end_with_supervisor(**_: Any) -> None:
    end_with_parent()


def enqueue(name: str, *args: Any, countdown: float | None = None) -> None:
    """Ring for the task called `name` once the current transaction has committed.

    The row that the transaction wrote says what is to do, so a broker that is away costs only time: the sweep finds it.
    """

    def ring() -> None:
        try:
            app.signature(name, args=args).apply_async(countdown=countdown)
        except (OperationalError, ConnectionError) as error:
            log.warning("Redis did not take %s%r (%s); the sweep will start it.", name, args, error)

    transaction.on_commit(ring)
