"""The merge: blocks in sample order become one score per metric, each with its interval, provenance and warnings.

Every sum is taken in pieces counted from the first sample, so the same samples give the same bits however they were
sharded.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from metrics.engine.blocks import Block, Efficiency
from metrics.engine.errors import BadInput, Mismatch
from metrics.engine.protocol import Protocol
from metrics.engine.reduced import Reducer, Values
from metrics.engine.reducers import reducers_for
from metrics.engine.references import Reference
from metrics.engine.registry import MetricSpec, Need, get_metric, reference_columns


@dataclass(frozen=True)
class ScoreResult:
    """One metric's result over a set of samples.

    Attributes:
        low, high: the interval's ends, None where there are too few samples for one; interval: its method, by name.
        n: samples.
        per_sample: (n,) values in the metric's own unit, in sample order; None for distances between sets.
        details: further summary figures (`clip_score`: mean_cosine, cosine_x100, captions_cut).
        per_sample_details: further (n,) arrays (`clip_score`: cosine, caption_cut).
        warnings: why the number is weak, in sentences.
        fingerprint, protocol: the settings; scores of different fingerprints do not compare.
        reference: which reference set (`Reference.content`), empty for metrics without one. Scores against different
            references do not compare either.
        seconds: by stage over all blocks, and `merge`; they are shared by the metrics of one run.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    interval: str
    n: int
    per_sample: Values | None
    details: Mapping[str, float]
    per_sample_details: Mapping[str, NDArray[Any]]
    warnings: tuple[str, ...]
    fingerprint: str
    protocol: Mapping[str, Any]
    reference: str
    seconds: Mapping[str, float]
    images_per_second: float
    peak_memory: int
    device: str


def merge_scores(
    blocks: Iterable[Block],
    *,
    metrics: Sequence[str],
    protocol: Protocol,
    reference: Reference | None = None,
) -> list[ScoreResult]:
    """One score per metric, in the order of `metrics`.

    Args:
        blocks: in sample order; read once, so they may be loaded one at a time.
        reference: for metrics that compare with a set, holding their columns.
    Raises: BadInput for too few samples or no reference; Mismatch if a block or the reference was made under other
        settings.
    """
    specs = [get_metric(name) for name in metrics]
    if reference:
        _check_reference(reference, reference_columns(metrics), protocol)
    reducers = reducers_for(metrics, reference)
    distinct = list({id(reducer): reducer for reducer in reducers.values()}.values())
    n, passes = 0, []
    for block in blocks:
        for spec in specs:
            _check_block(block, spec, protocol)
        for reducer in distinct:
            reducer.add(block)
        n += len(block.keys)
        passes.append(block.efficiency)
    if n == 0:
        raise BadInput("There are no samples to score; give at least one.")
    return [_result(spec, reducers[spec.name], n, protocol, reference, passes) for spec in specs]


def _check_block(block: Block, spec: MetricSpec, protocol: Protocol) -> None:
    for column in spec.columns:
        if column in block.problems:
            raise BadInput(block.problems[column])
        if column not in block.columns:
            raise Mismatch(f"{spec.title} needs the column “{column}” and a block has none; compute the shard again.")
        if block.fingerprints[column] != protocol.column_fingerprint(column):
            raise Mismatch(
                f"A block's “{column}” was made under other settings than this run's; compute the shard again."
            )


def _check_reference(reference: Reference, columns: Sequence[str], protocol: Protocol) -> None:
    if any(reference.column(name).fingerprint != protocol.column_fingerprint(name) for name in columns):
        raise Mismatch(
            "The reference was made under other settings than this run's; compute it under the same protocol."
        )


def _result(
    spec: MetricSpec,
    reducer: Reducer,
    n: int,
    protocol: Protocol,
    reference: Reference | None,
    passes: list[Efficiency],
) -> ScoreResult:
    start = time.perf_counter()
    reduced = reducer.finish(spec.name)
    seconds = _summed(passes) | {"merge": time.perf_counter() - start}
    against = reference if reference and Need.REFERENCE_SET in spec.needs else None
    return ScoreResult(
        metric=spec.name,
        value=reduced.estimate.value,
        low=reduced.estimate.low,
        high=reduced.estimate.high,
        interval=reduced.estimate.interval,
        n=n,
        per_sample=reduced.per_sample,
        details=reduced.details,
        per_sample_details=reduced.per_sample_details,
        warnings=_warnings(spec, n, against) + reduced.warnings,
        fingerprint=protocol.fingerprint(spec.name),
        protocol=protocol.to_dict(),
        reference=against.content if against else "",
        seconds=seconds,
        images_per_second=n / seconds["wall"] if seconds["wall"] else 0.0,
        peak_memory=max(each.peak_memory for each in passes),
        device=", ".join(sorted({each.device for each in passes})),
    )


def _warnings(spec: MetricSpec, n: int, reference: Reference | None) -> tuple[str, ...]:
    sentences = [spec.weakness(n)]
    if reference and reference.n < spec.minimum_n:
        sentences.append(
            f"The reference set has {reference.n:,} pictures, which is few for {spec.title}; use at least "
            f"{spec.minimum_n:,}."
        )
    return tuple(sentence for sentence in sentences if sentence)


def _summed(passes: list[Efficiency]) -> dict[str, float]:
    total: dict[str, float] = {}
    for each in passes:
        for stage, seconds in each.seconds.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total
