"""The merge: a run's blocks, in sample order, and its reference's statistics become scores."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError

from metrics import services
from metrics.engine.blocks import Block, Efficiency
from metrics.engine.errors import EngineError, Stopped
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol
from metrics.engine.references import COLUMN, Reference, reference_from_blocks
from metrics.engine.registry import Need, get_metric
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from metrics.models import ReferenceStatistics, Run
from metrics.services import Result
from metrics.tasks.lease import Lease
from metrics.tasks.material import Cache, device, keep, load_block, obstacle_of, sentence_of, subject_of_media

log = logging.getLogger(__name__)


def merge(run: Run, lease: Lease) -> None:
    """Merge a claimed run and finish it; whatever goes wrong is kept as the attempt's error."""
    fail = partial(services.fail_merge, run_id=run.pk, token=run.merge_token)
    try:
        _merge(run, lease)
    except (Stopped, services.StaleLease) as reason:
        log.info("%s: %s", run, reason)
    except EngineError as error:
        fail(error=str(error))
    except (InterfaceError, OperationalError):
        # The database is away and nothing can be written; the lease runs out and the sweep has it merged again.
        raise
    except Exception as error:
        log.exception("Merging %s failed.", run)
        fail(error=sentence_of(error))


def _merge(run: Run, lease: Lease) -> None:
    settled = set(run.scores.values_list("metric", flat=True))
    results = _Merger(run, lease).results([name for name in run.metrics if name not in settled])
    services.finish_merge(run_id=run.pk, token=run.merge_token, results=results)


class _Merger:
    """One run's merge. A metric that cannot be computed leaves the others their scores."""

    def __init__(self, run: Run, lease: Lease) -> None:
        self.run, self.lease = run, lease
        self.shards = list(run.shards.order_by("index"))
        self.protocol = Protocol.from_dict(run.protocol)
        self.passes: list[Efficiency] = []
        self._statistics: Reference | None = None
        self._reference_decoded = 0

    def results(self, metrics: Sequence[str]) -> list[Result]:
        ready = [name for name in metrics if all(name in shard.metrics for shard in self.shards)]
        return [*self._scored(ready), *(self._waiting(name) for name in metrics if name not in ready)]

    def _waiting(self, metric: str) -> Result:
        came_late = (
            f"The weights of {get_metric(metric).title} came while the run was under way; "
            "a run for it alone follows by itself."
        )
        return Result(metric=metric, waits=obstacle_of(metric, self.protocol, self._tell) or came_late)

    def _scored(self, metrics: Sequence[str]) -> list[Result]:
        """All from one reading of the blocks; if that fails, each by itself, to find the one that it is about."""
        if not metrics:
            return []
        try:
            titles = ", ".join(get_metric(name).title for name in metrics)
            statistics = self._reference() if any(map(_needs_reference, metrics)) else None
            self._tell(f"computing {titles}")
            blocks = self._read()
            scores = merge_scores(blocks, metrics=metrics, protocol=self.protocol, reference=statistics)
            return [self._told(score) for score in scores]
        except Stopped:
            raise
        except EngineError as error:
            if len(metrics) == 1:
                return [Result(metric=metrics[0], problem=str(error))]
            return [result for name in metrics for result in self._scored([name])]

    def _read(self) -> Iterator[Block]:
        self.passes.clear()
        for shard in self.shards:
            if self.lease.lost():
                raise Stopped("The merge was asked to stop.")
            block = load_block(shard.block)
            self.passes.append(block.efficiency)
            yield block

    def _tell(self, stage: str) -> None:
        self.lease.stage = stage

    def _told(self, score: ScoreResult) -> Result:
        per_sample = [] if score.per_sample is None else score.per_sample.tolist()
        samples = [sample for shard in self.shards for sample in shard.sample_ids]
        facts = self.protocol.facts(score.metric)
        fingerprint = score.fingerprint
        if score.reference:
            # Distances from another reference are other numbers: it belongs to what is compared.
            facts["reference"] = score.reference
            fingerprint = hashlib.sha256(f"{fingerprint} {score.reference}".encode()).hexdigest()
        return Result(
            metric=score.metric,
            value=score.value,
            low=score.low,
            high=score.high,
            interval=score.interval,
            n=score.n,
            warnings=score.warnings,
            fingerprint=fingerprint,
            protocol=facts,
            efficiency=self._efficiency(score),
            details=dict(score.details),
            per_sample=dict(zip(samples, per_sample, strict=True)) if per_sample else {},
        )

    def _efficiency(self, score: ScoreResult) -> dict[str, Any]:
        decoded = sum(each.decoded for each in self.passes)
        return {
            "seconds": {stage: round(seconds, 3) for stage, seconds in score.seconds.items()},
            # What was found in the cache says nothing about the speed of computing it.
            "images_per_second": round(score.images_per_second, 2) if decoded else None,
            "decoded": decoded,
            "peak_memory": score.peak_memory,
            "device": score.device,
            "versions": dict(self.passes[0].versions),
            **({"reference_decoded": self._reference_decoded} if score.reference else {}),
        }

    def _reference(self) -> Reference:
        if self._statistics is None:
            self._statistics = self._stored_statistics() or self._new_statistics()
        return self._statistics

    def _stored_statistics(self) -> Reference | None:
        fingerprint = self.protocol.column_fingerprint(COLUMN)
        row = ReferenceStatistics.objects.filter(reference=self.run.reference, fingerprint=fingerprint).first()
        if row is None:
            return None
        with default_storage.open(row.path, "rb") as file:
            return Reference.load(file.read())

    def _new_statistics(self) -> Reference:
        """Computed in pieces that each enter the cache, so that a killed merge repeats at most one of them."""
        reference = self.run.reference
        assert reference is not None  # pinned whenever a metric needs one
        folder = f"studies/{reference.study_id}/references/{reference.pk}"
        images = [subject_of_media(image.media) for image in reference.images.select_related("media")]
        size = settings.SHARD_SIZE
        pieces = [images[start : start + size] for start in range(0, len(images), size)]
        blocks = [
            self._piece(piece, f"{folder}/{index:05d}-{self.run.merge_token}.safetensors", index * size, len(images))
            for index, piece in enumerate(pieces)
        ]
        statistics = reference_from_blocks(blocks)
        path = keep(f"{folder}/{statistics.fingerprint}.safetensors", statistics.to_bytes())
        services.keep_reference_statistics(
            reference=reference, fingerprint=statistics.fingerprint, path=path, n=statistics.n
        )
        return statistics

    def _piece(self, images: Sequence[Subject], name: str, before: int, total: int) -> Block:
        assert self.run.reference is not None
        cache = Cache(self.run.reference.study_id)
        block = compute_block(
            images,
            metrics=["fid"],
            protocol=self.protocol,
            weights=Weights(settings.WEIGHTS_FOLDER),
            device=device(),
            on_progress=lambda done: self._tell(f"reading the reference, {before + done:,} of {total:,} images"),
            should_stop=self.lease.lost,
            cached=cache.lookup,
        )
        self._reference_decoded += block.efficiency.decoded
        if rows := cache.new_rows(block):
            path = keep(name, block.to_bytes())
            services.index_block(study_id=self.run.reference.study_id, path=path, rows=rows)
        return block


def _needs_reference(metric: str) -> bool:
    return Need.REFERENCE_SET in get_metric(metric).needs
