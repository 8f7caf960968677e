"""Everything that writes a run. Postgres is the truth; Celery only rings."""

from metrics.services.choosing import GROUPS, Choice, choices, default_metrics
from metrics.services.features import (
    CachedRow,
    Evicted,
    FileGone,
    begin_file,
    cache_size,
    collect_orphans,
    drop_file,
    evict,
    keep_rows,
    note_use,
)
from metrics.services.merges import (
    Result,
    claim_merge,
    expire_merge,
    fail_merge,
    finish_merge,
    keep_reference_statistics,
    renew_merge,
)
from metrics.services.prices import price_of
from metrics.services.runs import ProtocolChoice, cancel_run, default_reference, retry_run, start_run
from metrics.services.shards import (
    StaleLease,
    claim_shard,
    expire_lease,
    fail_attempt,
    finish_shard,
    release_dead_worker,
    renew_lease,
)
from metrics.services.sweeping import Swept, sweep
from metrics.services.weights import note_weights

__all__ = [
    "GROUPS",
    "CachedRow",
    "Choice",
    "Evicted",
    "FileGone",
    "ProtocolChoice",
    "Result",
    "StaleLease",
    "Swept",
    "begin_file",
    "cache_size",
    "cancel_run",
    "choices",
    "claim_merge",
    "claim_shard",
    "collect_orphans",
    "default_metrics",
    "default_reference",
    "drop_file",
    "evict",
    "expire_lease",
    "expire_merge",
    "fail_attempt",
    "fail_merge",
    "finish_merge",
    "finish_shard",
    "keep_reference_statistics",
    "keep_rows",
    "note_use",
    "note_weights",
    "price_of",
    "release_dead_worker",
    "renew_lease",
    "renew_merge",
    "retry_run",
    "start_run",
    "sweep",
]
