"""What the command writes: JSON, a table, and per-sample scores as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from metrics.engine.blocks import Efficiency
from metrics.engine.errors import BadInput
from metrics.engine.registry import get_metric
from metrics.engine.scores import ScoreResult
from metrics.engine.subjects import Subject


def score_facts(result: ScoreResult) -> dict[str, Any]:
    """One score as JSON."""
    spec = get_metric(result.metric)
    return {
        "metric": result.metric,
        "title": spec.title,
        "value": result.value,
        "low": result.low,
        "high": result.high,
        "interval": result.interval,
        "n": result.n,
        "unit": spec.unit,
        "direction": spec.direction,
        "protocol": result.protocol["name"],
        "fingerprint": result.fingerprint,
        "settings": dict(result.protocol),
        "reference": result.reference,
        "details": dict(result.details),
        "warnings": list(result.warnings),
    }


def efficiency_facts(took: Efficiency, reduce_seconds: float, price_per_hour: float | None) -> dict[str, Any]:
    """What a pass took as JSON.

    Args: reduce_seconds: from rows to scores, which is no part of the pass. price_per_hour: of the device.
    """
    reduced = took.images / reduce_seconds if reduce_seconds else None
    facts: dict[str, Any] = {
        "images": took.images,
        "decoded": took.decoded,
        "images_per_second": took.images_per_second,
        "images_per_second_by_stage": {**took.speeds, "reduce": reduced},
        "seconds": {**took.seconds, "reduce": reduce_seconds},
        "busy_share": took.busy_share,
        "peak_memory": took.peak_memory,
        "device": took.device,
        "dtype": took.dtype,
        "batch_size": dict(took.batch_size),
        "threads": took.threads,
        "notes": list(took.notes),
        "versions": dict(took.versions),
    }
    if price_per_hour is not None:
        facts |= {"price_per_hour": price_per_hour, "cost_per_million_images": took.cost_per_million(price_per_hour)}
    return facts


def write_per_sample(target: Path, subjects: Sequence[Subject], results: Sequence[ScoreResult]) -> None:
    """Per-sample scores and their details, a line for each sample.

    Raises: BadInput if the file cannot be written.
    """
    columns: dict[str, Any] = {}
    for result in results:
        if result.per_sample is not None:
            columns[result.metric] = result.per_sample
            columns |= {f"{result.metric}_{name}": values for name, values in result.per_sample_details.items()}
    try:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["file", *columns])
            for index, subject in enumerate(subjects):
                writer.writerow([subject.name, *(values[index].item() for values in columns.values())])
    except OSError as fault:
        raise BadInput(f"{target} cannot be written ({fault.strerror}); choose another path.") from None


def print_table(results: Sequence[ScoreResult]) -> None:
    """For people; what belongs to a score beside its value (CLIPScore's cosine, for one) stands below."""
    table = Table("Metric", "Value", "95 % interval", "n", "Protocol", "Fingerprint")
    for each in results:
        spec = get_metric(each.metric)
        interval = "–" if each.low is None or each.high is None else f"{each.low:.4f} to {each.high:.4f}"
        title = f"{spec.title} {'↑' if spec.higher_is_better else '↓'}"
        table.add_row(title, f"{each.value:.4f}", interval, f"{each.n:,}", each.protocol["name"], each.fingerprint[:12])
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for each in results:
        beside = ", ".join(f"{name.replace('_', ' ')} {figure:.4g}" for name, figure in each.details.items())
        if beside:
            console.print(f"{get_metric(each.metric).title}: {beside}", markup=False)
