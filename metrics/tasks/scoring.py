"""One shard: its samples' originals from storage, once through every extractor that the run needs, into a block."""

import logging
from collections.abc import Sequence
from functools import partial

from django.conf import settings
from django.db import InterfaceError, OperationalError

from metrics import services
from metrics.engine.blocks import Block
from metrics.engine.errors import BadInput, EngineError, Stopped, UnreadableImage
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol
from metrics.engine.registry import get_metric
from metrics.engine.weights import Weights
from metrics.models import Shard
from metrics.tasks.lease import Lease
from metrics.tasks.material import Cache, device, keep, obstacle_of, sentence_of, subjects_of

log = logging.getLogger(__name__)


def score(shard: Shard, lease: Lease) -> None:
    """Compute a claimed shard and finish it; whatever goes wrong is kept as the attempt's error."""
    fail = partial(services.fail_attempt, shard_id=shard.pk, token=shard.token)
    try:
        _compute(shard, lease)
    except (Stopped, services.StaleLease) as reason:
        log.info("%s: %s", shard, reason)
    except (BadInput, UnreadableImage) as error:
        # The samples will be the same at the next attempt.
        fail(error=str(error), final=True)
    except (EngineError, services.FileGone) as error:
        fail(error=str(error))
    except (InterfaceError, OperationalError):
        # The database is away; the lease runs out, and the sweep then gives the shard to another worker.
        raise
    except Exception as error:
        log.exception("%s failed.", shard)
        fail(error=sentence_of(error))


def _compute(shard: Shard, lease: Lease) -> None:
    run = shard.run
    study_id = run.submission.checkpoint.study_id
    protocol = Protocol.from_dict(run.protocol)
    cache = Cache(study_id)
    metrics = _computable(shard, protocol, lease)
    block = compute_block(
        subjects_of(shard.sample_ids),
        metrics=metrics,
        protocol=protocol,
        weights=Weights(settings.WEIGHTS_FOLDER),
        device=device(),
        on_progress=lease.advance,
        should_stop=lease.lost,
        cached=cache.lookup,
        spare_others=True,
    )
    # The token in its name keeps the files of two attempts apart.
    name = f"studies/{study_id}/blocks/{run.pk}/{shard.index:05d}-{shard.token}.safetensors"
    data = block.to_bytes()
    path = keep(study_id, name, data)
    try:
        services.finish_shard(
            shard_id=shard.pk,
            token=shard.token,
            block=path,
            size=len(data),
            metrics=metrics,
            problems=_problems(metrics, block),
            cached=cache.new_rows(block),
        )
    except services.StaleLease:
        services.drop_file(path=path)
        raise


def _problems(metrics: Sequence[str], block: Block) -> dict[str, str]:
    """Why a metric has no features of some sample, for each of which that is so."""
    return {
        metric: block.problems[column]
        for metric in metrics
        for column in get_metric(metric).columns
        if column in block.problems
    }


def _computable(shard: Shard, protocol: Protocol, lease: Lease) -> list[str]:
    """The run's open metrics whose weights are here; the merge sees which of them a block lacks."""

    def tell(stage: str) -> None:
        lease.stage = stage

    settled = set(shard.run.scores.values_list("metric", flat=True))
    return [name for name in shard.run.metrics if name not in settled and not obstacle_of(name, protocol, tell)]
