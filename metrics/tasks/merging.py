"""The merge: a run's blocks, in sample order, and its reference's statistics become scores."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError

from evalhub.celery import enqueue
from metrics import services
from metrics.engine.blocks import Block, Efficiency
from metrics.engine.errors import EngineError, Mismatch, Stopped
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol
from metrics.engine.references import Reference, reference_from_blocks
from metrics.engine.registry import compared_with_sets, get_metric, reference_columns
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from metrics.models import ReferenceStatistics, Run
from metrics.services import Result
from metrics.tasks.drift import with_drift
from metrics.tasks.efficiency import figures_of
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
    except (EngineError, services.FileGone) as error:
        fail(error=str(error))
    except (InterfaceError, OperationalError):
        # The database is away and nothing can be written; the lease runs out and the sweep has it merged again.
        raise
    except Exception as error:
        log.exception("Merging %s failed.", run)
        fail(error=sentence_of(error))


def _merge(run: Run, lease: Lease) -> None:
    settled = set(run.scores.values_list("metric", flat=True))
    merger = _Merger(run, lease)
    results = merger.results([name for name in run.metrics if name not in settled])
    if merger.protocol.dtype != "float32":
        lease.stage = f"measuring how far {merger.protocol.dtype} moves the scores"
    results = with_drift(run, merger.protocol, results)
    services.finish_merge(run_id=run.pk, token=run.merge_token, results=results)
    enqueue("leaderboard.find_agreement", str(run.submission.checkpoint.study_id))


class _Merger:
    """One run's merge. A metric that cannot be computed leaves the others their scores."""

    def __init__(self, run: Run, lease: Lease) -> None:
        self.run, self.lease = run, lease
        self.shards = list(run.shards.order_by("index"))
        self.protocol = Protocol.from_dict(run.protocol)
        self.passes: list[Efficiency] = []
        self._statistics: dict[str, Reference] = {}
        self._reference_decoded = 0

    def results(self, metrics: Sequence[str]) -> list[Result]:
        complete = [name for name in metrics if all(name in shard.metrics for shard in self.shards)]
        problems = {name: self._problem(name) for name in complete}
        return [
            *self._scored([name for name in complete if not problems[name]]),
            *(Result(metric=name, problem=problem) for name, problem in problems.items() if problem),
            *(self._waiting(name) for name in metrics if name not in complete),
        ]

    def _problem(self, metric: str) -> str:
        """The first sample's that the metric could not take, if there was any."""
        return next((str(shard.problems[metric]) for shard in self.shards if metric in shard.problems), "")

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
            statistics = self._reference(metrics) if reference_columns(metrics) else None
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
            efficiency=figures_of(self.passes, score.seconds)
            | ({"reference_decoded": self._reference_decoded} if score.reference else {}),
            details=dict(score.details),
            per_sample=dict(zip(samples, per_sample, strict=True)) if per_sample else {},
        )

    def _reference(self, metrics: Sequence[str]) -> Reference:
        """The statistics of every column that `metrics` compare with: those stored, and the others computed."""
        columns = reference_columns(metrics)
        for column in columns:
            if column not in self._statistics and (stored := self._stored_statistics(column)):
                self._statistics[column] = stored
        if missing := [column for column in columns if column not in self._statistics]:
            self._statistics |= self._new_statistics(metrics, missing)
        return Reference.joined([self._statistics[column] for column in columns])

    def _stored_statistics(self, column: str) -> Reference | None:
        fingerprint = self.protocol.column_fingerprint(column)
        known = ReferenceStatistics.objects.filter(reference=self.run.reference, fingerprint=fingerprint)
        row = known.select_related("file").first()
        if row is None:
            return None
        services.note_use(files=[row.file_id])
        try:
            with default_storage.open(row.file.path, "rb") as file:
                return Reference.load(file.read())
        except (OSError, Mismatch) as error:
            # As with all that is cached: what cannot be read is computed again.
            log.warning("The statistics in %s cannot be read: %s", row.file.path, error)
            row.delete()
            return None

    def _new_statistics(self, metrics: Sequence[str], columns: Sequence[str]) -> dict[str, Reference]:
        """Computed in pieces that each enter the cache, so that a killed merge repeats at most one of them; stored
        column by column."""
        sharing = [name for name in compared_with_sets(metrics) if set(columns) & set(get_metric(name).columns)]
        reference = self.run.reference
        assert reference is not None  # pinned whenever a metric needs one
        folder = f"studies/{reference.study_id}/references/{reference.pk}"
        images = [subject_of_media(image.media) for image in reference.images.select_related("media")]
        size = settings.SHARD_SIZE
        pieces = [images[start : start + size] for start in range(0, len(images), size)]
        # The attempt in their names keeps the files of two merges apart.
        attempt = f"{folder}/{self.run.pk}-{self.run.merge_token}"
        names = [f"{attempt}-{index:05d}.safetensors" for index in range(len(pieces))]
        blocks = [
            self._piece(piece, sharing, name, index * size, len(images))
            for index, (piece, name) in enumerate(zip(pieces, names, strict=True))
        ]
        made = reference_from_blocks(blocks, columns=columns)
        parts = {column: made.only(column) for column in columns}
        for column, part in parts.items():
            fingerprint = part.column(column).fingerprint
            data = part.to_bytes()
            path = keep(reference.study_id, f"{attempt}-{column}.safetensors", data)
            services.keep_reference_statistics(
                reference=reference, fingerprint=fingerprint, path=path, size=len(data), n=part.n
            )
        return parts

    def _piece(self, images: Sequence[Subject], metrics: Sequence[str], name: str, before: int, total: int) -> Block:
        assert self.run.reference is not None
        cache = Cache(self.run.reference.study_id)
        block = compute_block(
            images,
            metrics=metrics,
            protocol=self.protocol,
            weights=Weights(settings.WEIGHTS_FOLDER),
            device=device(),
            on_progress=lambda done: self._tell(f"reading the reference, {before + done:,} of {total:,} images"),
            should_stop=self.lease.lost,
            cached=cache.lookup,
        )
        self._reference_decoded += block.efficiency.decoded
        if rows := cache.new_rows(block):
            data = block.to_bytes()
            path = keep(self.run.reference.study_id, name, data)
            services.keep_rows(study_id=self.run.reference.study_id, path=path, size=len(data), rows=rows)
        return block
