"""Starting, cancelling and retrying runs, and what a run pins when it starts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import LogEntry, Modality, Prompt, Sample, Study, Submission, User
from metrics.engine.catalogue import get_weights_spec
from metrics.engine.errors import BadInput
from metrics.engine.protocol import Protocol, named
from metrics.engine.registry import MetricSpec, Need, get_metric
from metrics.models import Reference, ReferenceImage, Run, RunState, Score, ScoreState, Shard, ShardState, Weights
from metrics.services.features import lock_kept_files
from metrics.services.shards import stop_shards

DEFAULT_METRICS = ("fid", "lpips", "clip_score")
CLIP = "clip-vit-b-32"


@dataclass(frozen=True)
class Material:
    """What a submission and its study offer to metrics, counted."""

    samples: int
    references: int
    paired: int
    resized: int
    captioned: int

    def offers(self, metric: MetricSpec) -> bool:
        """Whether the study has the kind of thing that the metric needs at all."""
        return not (
            (Need.REFERENCE_SET in metric.needs and not self.references)
            or (Need.PAIRED_REFERENCE in metric.needs and not self.paired)
            or (Need.CAPTION in metric.needs and not self.captioned)
        )

    def obstacle(self, metric: MetricSpec) -> str:
        """Why the metric cannot be computed, as one sentence; empty when it can."""
        if Need.REFERENCE_SET in metric.needs and min(self.references, self.samples) < 2:
            return (
                f"{metric.title} compares at least 2 samples with at least 2 reference images; "
                f"here are {self.samples:,} and {self.references:,}."
            )
        if Need.PAIRED_REFERENCE in metric.needs and self.paired < self.samples:
            missing = self.samples - self.paired
            return (
                f"{metric.title} compares each sample with its prompt's reference, and {missing:,} prompts have none."
            )
        if Need.PAIRED_REFERENCE in metric.needs and self.resized:
            return (
                f"{metric.title} needs each sample in the size of its prompt's reference; {self.resized:,} of "
                f"{self.samples:,} have another: submit them in that size as a new checkpoint."
            )
        if Need.CAPTION in metric.needs and self.captioned < self.samples:
            missing = self.samples - self.captioned
            return f"{metric.title} compares each sample with its prompt's text, and {missing:,} prompts have none."
        return ""


def start_run(*, submission: Submission, metrics: Sequence[str] | None = None, actor: User | None = None) -> Run:
    """A run over a complete submission, its protocol, reference and sample list pinned, its shards waiting.

    Without `metrics`: FID, LPIPS and CLIPScore as far as the study's prompts have references and texts. Without `actor`
    it is the submission's one automatic run, and a second call returns the first's.

    Raises: Conflict while the submission is incomplete; Refusal when a metric is unknown or cannot be computed here.
    """
    _require_complete(submission)
    if actor is not None:
        return _open_run(submission, _chosen(submission, metrics), actor=actor)
    if earlier := Run.objects.filter(submission=submission, automatic=True).first():
        return earlier
    try:
        with transaction.atomic():
            return _open_run(submission, _chosen(submission, metrics), automatic=True)
    except IntegrityError:
        # Two rings for one submission: the database let one of them through.
        return Run.objects.get(submission=submission, automatic=True)


def resume_metric(*, score: Score) -> Run:
    """A run for the one metric that had waited for weights, now that there are some."""
    run = _open_run(score.run.submission, [get_metric(score.metric)], actor=score.run.created_by)
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
        _log(run, actor, "cancel run")
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
        _log(run, actor, "retry run")
    return run


def default_reference(*, study: Study) -> Reference | None:
    """The prompts' references in prompt order, as they are now; None when no prompt has one.

    A reference never changes, because statistics are cached under it: other images make another reference.
    """
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


def material_of(submission: Submission) -> Material:
    """The counts that decide which metrics can be computed."""
    study = submission.checkpoint.study
    paired = Q(prompt__reference__isnull=False)
    same_size = Q(media__width=F("prompt__reference__width"), media__height=F("prompt__reference__height"))
    counts: dict[str, Any] = Sample.objects.filter(checkpoint=submission.checkpoint_id).aggregate(
        samples=Count("pk"),
        paired=Count("pk", filter=paired),
        resized=Count("pk", filter=paired & ~same_size),
        captioned=Count("pk", filter=~Q(prompt__text="")),
    )
    return Material(references=Prompt.objects.filter(study=study, reference__isnull=False).count(), **counts)


def default_metrics(submission: Submission) -> list[MetricSpec]:
    """FID, LPIPS and CLIPScore, as far as the study has what each needs. Videos have none of them."""
    if submission.checkpoint.study.modality != Modality.IMAGE:
        return []
    material = material_of(submission)
    return [metric for metric in map(get_metric, DEFAULT_METRICS) if material.offers(metric)]


def _require_complete(submission: Submission) -> None:
    if not submission.is_complete:
        raise Conflict(
            f"{submission.checkpoint}'s submission is incomplete and cannot be scored yet; send what is missing."
        )


def _chosen(submission: Submission, names: Sequence[str] | None) -> list[MetricSpec]:
    if names is None:
        if chosen := default_metrics(submission):
            return chosen
        raise Refusal(
            "No metric fits this study: FID and LPIPS need prompts with reference images, CLIPScore needs prompts with "
            "texts, and all of them images; give the prompts those, or choose the metrics by name."
        )
    if not names:
        raise Refusal("A run needs at least one metric; name some, or leave the list out for the usual ones.")
    if submission.checkpoint.study.modality != Modality.IMAGE:
        raise Refusal("The metrics that there are score images, and this study's outputs are videos.")
    try:
        chosen = [get_metric(name) for name in dict.fromkeys(names)]
    except BadInput as problem:
        raise Refusal(str(problem)) from problem
    material = material_of(submission)
    if obstacles := [obstacle for metric in chosen if (obstacle := material.obstacle(metric))]:
        raise Refusal(" ".join(obstacles))
    return chosen


def _open_run(
    submission: Submission, chosen: Sequence[MetricSpec], *, actor: User | None = None, automatic: bool = False
) -> Run:
    study, protocol, material = submission.checkpoint.study, _pinned_protocol(), material_of(submission)
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
        _log(run, actor, "start run")
    return run


def wait_for_weights(*, run: Run, metric: MetricSpec, note: str = "") -> Score:
    """The metric's score of a run, waiting: it is taken up again by itself once its weights are there."""
    return Score.objects.create(
        run=run,
        metric=metric.name,
        state=ScoreState.WAITING_FOR_WEIGHTS,
        missing_weights=list(metric.weights),
        note=note or _how_to_get(metric),
    )


def _how_to_get(metric: MetricSpec) -> str:
    commands = [
        f"`python manage.py weights import {name} FILE`"
        if get_weights_spec(name).any_checkpoint
        else f"`python manage.py weights pull {name}`"
        for name in metric.weights
    ]
    return (
        f"{metric.title} waits for its weights; an operator gets them with {' and '.join(commands)}, "
        "and the score follows by itself."
    )


def _pinned_protocol() -> Protocol:
    protocol = named("clean")
    clip = Weights.objects.filter(name=CLIP).first()
    return protocol.with_clip(tensors_sha256=clip.sha256, clip_model=clip.model) if clip else protocol


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


def _log(run: Run, actor: User | None, verb: str) -> None:
    checkpoint = run.submission.checkpoint
    LogEntry.write(
        study=checkpoint.study, actor=actor, verb=verb, subject=checkpoint, run=str(run.pk), metrics=run.metrics
    )
