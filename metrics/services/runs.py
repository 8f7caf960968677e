"""Starting, cancelling and retrying runs, and what a run pins when it starts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Prompt, Sample, Study, Submission, User
from metrics.engine.catalogue import WEIGHTS
from metrics.engine.errors import BadInput
from metrics.engine.protocol import Protocol, named
from metrics.engine.registry import MetricSpec, Need, get_metric
from metrics.models import Reference, ReferenceImage, Run, RunState, Score, ScoreState, Shard, ShardState, Weights
from metrics.services.choosing import chosen_metrics, how_to_get, imported_reference, material_of
from metrics.services.features import lock_kept_files
from metrics.services.shards import stop_shards
from metrics.services.telling import tell_end

OF_THE_OPERATOR = tuple(name for name, spec in WEIGHTS.items() if spec.any_checkpoint)


@dataclass(frozen=True)
class ProtocolChoice:
    """What a person may choose of a run's protocol.

    Attributes:
        name: `clean` or `tf1`: how FID and KID bring a picture to their network's size.
        dtype: the networks' arithmetic.
    """

    name: str = "clean"
    dtype: str = "float32"


USUAL = ProtocolChoice()


def start_run(
    *,
    submission: Submission,
    metrics: Sequence[str] | None = None,
    protocol: ProtocolChoice = USUAL,
    actor: User | None = None,
) -> Run:
    """A run over a complete submission, its protocol, reference and sample list pinned, its shards waiting.

    Without `metrics`: those of `choosing.AUTOMATIC` that the study has the material for. Without `actor` it is the
    submission's one automatic run, and a second call returns the first's.

    Raises: Conflict while the submission is incomplete; Refusal when a metric or a setting is unknown, or when a metric
        that was asked for cannot be computed here.
    """
    _require_complete(submission)
    if actor is not None:
        return _open_run(submission, chosen_metrics(submission, metrics), protocol, actor=actor)
    if earlier := Run.objects.filter(submission=submission, automatic=True).first():
        return earlier
    try:
        with transaction.atomic():
            return _open_run(submission, chosen_metrics(submission, metrics), protocol, automatic=True)
    except IntegrityError:
        # Two rings for one submission: the database let one of them through.
        return Run.objects.get(submission=submission, automatic=True)


def resume_metric(*, score: Score) -> Run:
    """A run for the one metric that had waited for weights, now that there are some."""
    before = Protocol.from_dict(score.run.protocol)
    chosen = ProtocolChoice(before.name, before.dtype)
    run = _open_run(score.run.submission, [get_metric(score.metric)], chosen, actor=score.run.created_by)
    Score.objects.filter(pk=score.pk).update(retried_in=run)
    return run


def cancel_run(*, run: Run, actor: User | None) -> Run:
    """Stop a run that has not ended; its workers stop within seconds. Raises: Conflict when it has ended."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state not in (RunState.WAITING, RunState.RUNNING, RunState.MERGING):
            raise Conflict(f"The run is {run.get_state_display().lower()} already, so there is nothing to cancel.")
        run.state, run.finished_at, run.stage, run.merge_lease_expires_at = RunState.CANCELLED, timezone.now(), "", None
        run.save(update_fields=["state", "finished_at", "stage", "merge_lease_expires_at"])
        stop_shards(run=run)
        tell_end(run)
        _log(run, actor, "cancelled run")
    return run


def retry_run(*, run: Run, actor: User | None) -> Run:
    """Take a failed or cancelled run up again where it stopped: finished shards are kept, attempts start anew."""
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state not in (RunState.FAILED, RunState.CANCELLED):
            raise Conflict(
                f"The run is {run.get_state_display().lower()}; only a failed or cancelled one can be retried."
            )
        if not run.shards.exists():
            raise Conflict("This run never had anything to compute; its scores say why. Start a new run instead.")
        # What was finished is kept as long as its block is.
        kept = lock_kept_files(paths=run.shards.exclude(block="").values_list("block", flat=True))
        todo = run.shards.exclude(state=ShardState.DONE, block__in=kept)
        todo.update(state=ShardState.WAITING, block="", problems={}, attempts=0, samples_done=0, finished_at=None)
        waiting = list(run.shards.filter(state=ShardState.WAITING).values_list("pk", flat=True))
        run.state = RunState.RUNNING if waiting else RunState.MERGING
        run.error, run.finished_at, run.merge_attempts = "", None, 0
        run.save(update_fields=["state", "error", "finished_at", "merge_attempts"])
        for shard in waiting:
            enqueue("metrics.score_shard", shard)
        if not waiting:
            enqueue("metrics.merge_run", str(run.pk))
        _log(run, actor, "retried run")
    return run


def default_reference(*, study: Study) -> Reference | None:
    """The newest that was imported; else the prompts' references in prompt order, as they are now. None without any.

    A reference never changes, because statistics are cached under it: other images make another reference.
    """
    if imported := imported_reference(study):
        return imported
    images = list(
        Prompt.objects.filter(study=study, reference__isnull=False)
        .order_by("position", "id")
        .values_list("reference_id", "reference__sha256")
    )
    if not images:
        return None
    digest = hashlib.sha256("".join(sha256 for _, sha256 in images).encode()).hexdigest()
    with transaction.atomic():
        reference, new = Reference.objects.get_or_create(study=study, name=f"Prompts’ references {digest[:16]}")
        if new:
            ReferenceImage.objects.bulk_create(
                [
                    ReferenceImage(reference=reference, media_id=media, position=at)
                    for at, (media, _) in enumerate(images)
                ],
                batch_size=2000,
            )
    return reference


def _require_complete(submission: Submission) -> None:
    if not submission.is_complete:
        raise Conflict(
            f"{submission.checkpoint}'s submission is incomplete and cannot be scored yet; send what is missing."
        )


def _open_run(
    submission: Submission,
    chosen: Sequence[MetricSpec],
    wanted: ProtocolChoice,
    *,
    actor: User | None = None,
    automatic: bool = False,
) -> Run:
    study, material = submission.checkpoint.study, material_of(submission)
    protocol = _pinned_protocol(wanted, study.modality)
    obstacles = {metric.name: material.obstacle(metric) for metric in chosen}
    unpinned = {metric.name for metric in chosen if not set(metric.weights) <= set(protocol.weights)}
    ready = [metric for metric in chosen if not obstacles[metric.name] and metric.name not in unpinned]
    needs_set = any(Need.REFERENCE_SET in metric.needs for metric in ready)
    with transaction.atomic():
        run = Run.objects.create(
            submission=submission,
            metrics=[metric.name for metric in chosen],
            protocol=protocol.to_dict(),
            reference=default_reference(study=study) if needs_set else None,
            samples=material.samples,
            automatic=automatic,
            created_by=actor,
        )
        for metric in chosen:
            if obstacle := obstacles[metric.name]:
                Score.objects.create(run=run, metric=metric.name, state=ScoreState.FAILED, note=obstacle)
            elif metric.name in unpinned:
                wait_for_weights(run=run, metric=metric)
        if ready:
            _make_shards(run)
        else:
            _end_without_work(run, [obstacles[metric.name] for metric in chosen])
        _log(run, actor, "started run")
    return run


def wait_for_weights(*, run: Run, metric: MetricSpec, note: str = "") -> Score:
    """The metric's score of a run, waiting: it is taken up again by itself once its weights are there."""
    return Score.objects.create(
        run=run,
        metric=metric.name,
        state=ScoreState.WAITING_FOR_WEIGHTS,
        missing_weights=list(metric.weights),
        note=note or how_to_get(metric),
    )


def _pinned_protocol(wanted: ProtocolChoice, modality: str) -> Protocol:
    try:
        protocol = named(wanted.name, modality).with_dtype(wanted.dtype)
    except BadInput as problem:
        raise Refusal(str(problem)) from problem
    for weights in Weights.objects.filter(name__in=OF_THE_OPERATOR):
        protocol = protocol.with_checkpoint(weights.name, tensors_sha256=weights.sha256, clip_model=weights.model)
    return protocol


def _make_shards(run: Run) -> None:
    samples = list(
        Sample.objects.filter(checkpoint=run.submission.checkpoint_id)
        .order_by("prompt__position", "prompt_id", "seed")
        .values_list("pk", flat=True)
    )
    size = settings.SHARD_SIZE
    shards = Shard.objects.bulk_create(
        [
            Shard(run=run, index=index, sample_ids=samples[start : start + size])
            for index, start in enumerate(range(0, len(samples), size))
        ],
        batch_size=500,
    )
    for shard in shards:
        enqueue("metrics.score_shard", shard.pk)


def _end_without_work(run: Run, obstacles: Sequence[str]) -> None:
    failed = all(obstacles)
    run.state = RunState.FAILED if failed else RunState.DONE
    run.error = " ".join(obstacles) if failed else ""
    run.finished_at = timezone.now()
    run.save(update_fields=["state", "error", "finished_at"])
    tell_end(run)


def _log(run: Run, actor: User | None, verb: str) -> None:
    checkpoint = run.submission.checkpoint
    told = {"run": str(run.pk), "metrics": run.metrics}
    if run.reference is not None:
        told["reference"] = run.reference.name
    LogEntry.write(study=checkpoint.study, actor=actor, verb=verb, subject=checkpoint, **told)
