"""How far a run's reduced precision moves its scores from float32, measured on some of its own samples."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from metrics.engine.drift import measure_drift
from metrics.engine.errors import EngineError, Stopped
from metrics.engine.protocol import Protocol
from metrics.engine.registry import compared_with_sets, get_metric
from metrics.engine.weights import Weights
from metrics.models import Run
from metrics.services import Result
from metrics.tasks.material import device, subject_of_media, subjects_of

log = logging.getLogger(__name__)

# How many of a run's first samples, and of its reference's first images, are scored a second time.
SAMPLES = 64


def with_drift(run: Run, protocol: Protocol, results: Sequence[Result]) -> list[Result]:
    """The results, each with its drift where a network computed it in reduced precision."""
    moved = [result.metric for result in results if result.value is not None and get_metric(result.metric).weights]
    if protocol.dtype == "float32" or not moved:
        return list(results)
    try:
        drifts = _measured(run, protocol, moved)
    except Stopped:
        raise
    except EngineError as error:
        log.warning("The drift of %s was not measured: %s", run, error)
        note = f"How far {protocol.dtype} moves this value was not measured. {error}"
        return [
            replace(result, warnings=[*result.warnings, note]) if result.metric in moved else result
            for result in results
        ]
    return [replace(result, drift=drifts.get(result.metric, {})) for result in results]


def _measured(run: Run, protocol: Protocol, metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    samples: list[int] = []
    for shard in run.shards.order_by("index"):
        samples += shard.sample_ids[: SAMPLES - len(samples)]
        if len(samples) == SAMPLES:
            break
    images = []
    if run.reference and compared_with_sets(metrics):
        images = [image.media for image in run.reference.images.select_related("media")[:SAMPLES]]
    drift = measure_drift(
        subjects_of(samples),
        metrics=metrics,
        protocol=protocol,
        weights=Weights(settings.WEIGHTS_FOLDER),
        reference=[subject_of_media(media) for media in images],
        device=device(),
    )
    about = {"dtype": drift.dtype, "device": drift.device, "samples": drift.samples, "references": drift.references}
    return {
        each.metric: {
            **about,
            "full": each.full,
            "reduced": each.reduced,
            "shift": each.difference,
            "largest": each.largest,
            "mean": each.mean,
        }
        for each in drift.metrics
    }
