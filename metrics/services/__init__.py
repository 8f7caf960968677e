"""Everything that writes a run. Postgres is the truth; Celery only rings."""

from metrics.services.merges import (
    Result,
    claim_merge,
    expire_merge,
    fail_merge,
    finish_merge,
    keep_reference_statistics,
    renew_merge,
)
from metrics.services.runs import cancel_run, default_metrics, default_reference, retry_run, start_run
from metrics.services.shards import (
    CachedRow,
    StaleLease,
    claim_shard,
    expire_lease,
    fail_attempt,
    finish_shard,
    index_block,
    release_dead_worker,
    renew_lease,
)
from metrics.services.sweeping import Swept, sweep
from metrics.services.weights import note_weights

__all__ = [
    "CachedRow",
    "Result",
    "StaleLease",
    "Swept",
    "cancel_run",
    "claim_merge",
    "claim_shard",
    "default_metrics",
    "default_reference",
    "expire_lease",
    "expire_merge",
    "fail_attempt",
    "fail_merge",
    "finish_merge",
    "finish_shard",
    "index_block",
    "keep_reference_statistics",
    "note_weights",
    "release_dead_worker",
    "renew_lease",
    "renew_merge",
    "retry_run",
    "start_run",
    "sweep",
]
