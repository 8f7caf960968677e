"""The metrics EvalHub knows, as facts. Imports no torch: the web pages read titles, directions and minimum sizes
here."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from metrics.engine.errors import BadInput
from metrics.engine.registry.samples import SAMPLES
from metrics.engine.registry.sets import SETS
from metrics.engine.registry.spec import MetricSpec, Need

__all__ = [
    "METRICS",
    "MetricSpec",
    "Need",
    "check_modality",
    "columns_of",
    "compared_with_sets",
    "get_metric",
    "reference_columns",
]

_SPECS = (*SETS, *SAMPLES)

METRICS: Mapping[str, MetricSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def get_metric(name: str) -> MetricSpec:
    """The spec called `name`.

    Raises: BadInput naming the metrics there are.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise BadInput(f"There is no metric called “{name}”; choose from {', '.join(METRICS)}.") from None


def check_modality(metrics: Sequence[str], modality: str) -> None:
    """Raises: BadInput naming the first of `metrics` that does not score samples of `modality`, “image” or “video”."""
    for spec in map(get_metric, metrics):
        if modality not in spec.modalities:
            scored = " and ".join(f"{each}s" for each in sorted(spec.modalities))
            raise BadInput(f"{spec.title} scores {scored}, and the samples are {modality}s; leave it out.")


def columns_of(metrics: Sequence[str]) -> tuple[str, ...]:
    """The columns that `metrics` need, each once, in registry order."""
    wanted = {column for name in metrics for column in get_metric(name).columns}
    return tuple(dict.fromkeys(column for spec in _SPECS for column in spec.columns if column in wanted))


def compared_with_sets(metrics: Sequence[str]) -> list[str]:
    """Those of `metrics` that compare the samples with a reference set."""
    return [name for name in metrics if Need.REFERENCE_SET in get_metric(name).needs]


def reference_columns(metrics: Sequence[str]) -> tuple[str, ...]:
    """The columns that a reference set must have for `metrics`."""
    return columns_of(compared_with_sets(metrics))
