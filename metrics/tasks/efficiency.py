"""What a run's passes took, put together: the figures that are stored with each of its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from metrics import services
from metrics.engine.blocks import Efficiency


def figures_of(passes: Sequence[Efficiency], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Speeds by stage, shares and costs of one run, as JSON.

    Args: passes: one for each shard, at least one. seconds: by stage over all of them, and of the merge.
    """
    # What was found in the cache says nothing about the speed of computing it.
    computed = [each for each in passes if each.decoded]
    whole = total(computed or passes)
    figures: dict[str, Any] = {
        "seconds": {stage: round(took, 3) for stage, took in seconds.items()},
        "images_per_second": None,
        "decoded": whole.decoded,
        "peak_memory": whole.peak_memory,
        "device": whole.device,
        "dtype": whole.dtype,
        "batch_size": dict(whole.batch_size),
        "threads": whole.threads,
        "notes": list(whole.notes),
        "versions": dict(whole.versions),
    }
    if computed:
        price = services.price_of(whole.device)
        figures |= {
            "images_per_second": round(whole.images_per_second, 2),
            "stages": {stage: round(speed, 2) for stage, speed in whole.speeds.items()},
            "busy_share": round(whole.busy_share, 4),
            "price_per_hour": price,
            "cost_per_million": None if price is None else whole.cost_per_million(price),
        }
    return figures


def total(passes: Sequence[Efficiency]) -> Efficiency:
    """Several passes as if one device had made them one after the other."""
    stages = {stage for each in passes for stage in each.seconds}
    columns = {column for each in passes for column in each.batch_size}
    return replace(
        passes[0],
        seconds={stage: sum(each.seconds.get(stage, 0.0) for each in passes) for stage in sorted(stages)},
        images=sum(each.images for each in passes),
        decoded=sum(each.decoded for each in passes),
        peak_memory=max(each.peak_memory for each in passes),
        device=", ".join(sorted({each.device for each in passes})),
        # 0 says that a shard found every row of the column.
        batch_size={
            column: min((size for each in passes if (size := each.batch_size.get(column))), default=0)
            for column in sorted(columns)
        },
        threads=max(each.threads for each in passes),
        notes=tuple(dict.fromkeys(note for each in passes for note in each.notes)),
    )
