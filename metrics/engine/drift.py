"""How far a reduced precision moves the numbers: the same pictures under both protocols, on the same device."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.onepass import Subject, compute_blocks
from metrics.engine.protocol import Protocol
from metrics.engine.references import reference_from_blocks
from metrics.engine.registry import Need, compared_with_sets, get_metric, reference_columns
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.weights import Weights


@dataclass(frozen=True)
class MetricDrift:
    """One metric's drift, in its own unit.

    Attributes:
        full, reduced: the value in float32 and in the reduced precision; difference: reduced - full.
        largest, mean: of the absolute differences of single samples; None for distances between sets.
        fingerprint: of the reduced protocol.
    """

    metric: str
    full: float
    reduced: float
    difference: float
    largest: float | None
    mean: float | None
    fingerprint: str


@dataclass(frozen=True)
class Drift:
    """What a reduced precision did on one set of samples.

    Attributes:
        samples, references: how many pictures.
        features: by column, the `largest` and `mean` over its rows of |reduced - full| / |full|, lengths of vectors.
        cosines: by column of unit-length rows, the smallest cosine between a row and its reduced self.
        batch_size: by column.
    """

    dtype: str
    device: str
    samples: int
    references: int
    metrics: tuple[MetricDrift, ...]
    features: Mapping[str, Mapping[str, float]]
    cosines: Mapping[str, float]
    batch_size: Mapping[str, int]
    versions: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


def measure_drift(
    subjects: Sequence[Subject],
    *,
    metrics: Sequence[str],
    protocol: Protocol,
    weights: Weights,
    reference: Sequence[Subject] = (),
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
) -> Drift:
    """Scores `subjects` twice, in float32 and as `protocol` says, and compares metric by metric and row by row.

    Args:
        protocol: of the reduced precision, CLIP chosen (`protocol.with_dtype`, `extractors.pinned`).
        reference: the reference set, for metrics that compare with one.
    Raises: what `compute_block` and `merge_scores` raise.
    """
    sets = compared_with_sets(metrics)

    def scored(under: Protocol) -> tuple[Block, list[ScoreResult]]:
        parts = [(subjects, metrics), *([(reference, sets)] if sets and reference else [])]
        blocks = compute_blocks(parts, protocol=under, weights=weights, device=device, batch_size=batch_size)
        statistics = reference_from_blocks(blocks[1:], columns=reference_columns(metrics)) if blocks[1:] else None
        return blocks[0], merge_scores(blocks[:1], metrics=metrics, protocol=under, reference=statistics)

    whole, full = scored(protocol.with_dtype("float32"))
    less, reduced = scored(protocol)
    rows = {name: (whole.columns[name], less.columns[name]) for name in whole.columns}
    return Drift(
        dtype=protocol.dtype,
        device=less.efficiency.device,
        samples=len(subjects),
        references=len(reference) if any(Need.REFERENCE_SET in get_metric(name).needs for name in metrics) else 0,
        metrics=tuple(_drift_of(*each) for each in zip(full, reduced, strict=True)),
        features={name: _relative(*pair) for name, pair in rows.items() if pair[0].ndim > 1},
        cosines={name: _cosine(*pair) for name, pair in rows.items() if name.startswith("clip")},
        batch_size=less.efficiency.batch_size,
        versions=less.efficiency.versions,
    )


def _drift_of(full: ScoreResult, reduced: ScoreResult) -> MetricDrift:
    apart = None
    if full.per_sample is not None and reduced.per_sample is not None:
        apart = np.abs(reduced.per_sample - full.per_sample)
    return MetricDrift(
        metric=full.metric,
        full=full.value,
        reduced=reduced.value,
        difference=reduced.value - full.value,
        largest=None if apart is None else float(apart.max()),
        mean=None if apart is None else float(apart.mean()),
        fingerprint=reduced.fingerprint,
    )


def _relative(full: NDArray[np.float32], reduced: NDArray[np.float32]) -> dict[str, float]:
    lengths = np.linalg.norm(full.astype(np.float64), axis=-1)
    apart = np.linalg.norm(reduced.astype(np.float64) - full, axis=-1) / np.maximum(lengths, 1e-12)
    return {"largest": float(apart.max()), "mean": float(apart.mean())}


def _cosine(full: NDArray[np.float32], reduced: NDArray[np.float32]) -> float:
    a, b = full.astype(np.float64), reduced.astype(np.float64)
    products = (a * b).sum(axis=-1)
    return float((products / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))).min())
