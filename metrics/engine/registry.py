"""The metrics EvalHub knows, as facts. Imports no torch: the web pages read titles, directions and minimum sizes
here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from metrics.engine.errors import BadInput


class Need(StrEnum):
    """What a metric needs beside the samples themselves."""

    REFERENCE_SET = "reference set"
    PAIRED_REFERENCE = "paired reference"
    CAPTION = "caption"


@dataclass(frozen=True)
class MetricSpec:
    """One metric's unchanging facts.

    Attributes:
        name: the key used in runs, protocols and on the command line.
        version: raised whenever the formula changes; part of every fingerprint.
        direction: which way is better.
        unit: what one step of the value means.
        minimum_n: samples below which the value is weak and carries a warning.
        needs: what must be supplied beside the samples.
        weights: names in `metrics.engine.catalogue`.
        columns: the per-image arrays it is computed from; metrics that share a column share the work.
        per_sample: whether each sample gets its own value.
    """

    name: str
    title: str
    version: int
    direction: Literal["higher", "lower"]
    unit: str
    minimum_n: int
    needs: frozenset[Need]
    weights: tuple[str, ...]
    columns: tuple[str, ...]
    per_sample: bool
    summary: str
    weak_because: str

    @property
    def higher_is_better(self) -> bool:
        return self.direction == "higher"

    def weakness(self, n: int) -> str | None:
        """The warning sentence for a value from `n` samples, or None when there are enough."""
        if n >= self.minimum_n:
            return None
        return f"{self.title} on {n:,} samples is weak: {self.weak_because}; use at least {self.minimum_n:,}."


_SPECS = (
    MetricSpec(
        name="fid",
        title="FID",
        version=1,
        direction="lower",
        unit="squared feature distance",
        minimum_n=2048,
        needs=frozenset({Need.REFERENCE_SET}),
        weights=("inception-2015-12-05",),
        columns=("inception",),
        per_sample=False,
        summary="Fréchet distance between Gaussians of the samples' and of the reference set's Inception features",
        weak_because="its 2,048-dimensional covariance is rank-deficient and the value is biased upwards",
    ),
    MetricSpec(
        name="kid",
        title="KID",
        version=1,
        direction="lower",
        unit="squared kernel distance",
        minimum_n=500,
        needs=frozenset({Need.REFERENCE_SET}),
        weights=("inception-2015-12-05",),
        columns=("inception",),
        per_sample=False,
        summary="Unbiased squared maximum mean discrepancy of Inception features under a cubic kernel",
        weak_because="its interval is wide",
    ),
    MetricSpec(
        name="lpips",
        title="LPIPS (AlexNet)",
        version=1,
        direction="lower",
        unit="perceptual distance",
        minimum_n=30,
        needs=frozenset({Need.PAIRED_REFERENCE}),
        weights=("lpips-alexnet",),
        columns=("lpips_alex",),
        per_sample=True,
        summary="Learned perceptual distance of each sample from its own reference, AlexNet trunk, v0.1 heads",
        weak_because="the mean of so few pairs says little",
    ),
    MetricSpec(
        name="lpips_vgg",
        title="LPIPS (VGG16)",
        version=1,
        direction="lower",
        unit="perceptual distance",
        minimum_n=30,
        needs=frozenset({Need.PAIRED_REFERENCE}),
        weights=("lpips-vgg16",),
        columns=("lpips_vgg",),
        per_sample=True,
        summary="Learned perceptual distance of each sample from its own reference, VGG16 trunk, v0.1 heads",
        weak_because="the mean of so few pairs says little",
    ),
    MetricSpec(
        name="clip_score",
        title="CLIPScore (ViT-B/32)",
        version=1,
        direction="higher",
        unit="2.5 × cosine",
        minimum_n=30,
        needs=frozenset({Need.CAPTION}),
        weights=("clip-vit-b-32",),
        columns=("clip_image", "clip_text"),
        per_sample=True,
        summary="Agreement of each sample with its caption: 2.5 × max(cosine, 0) of CLIP embeddings",
        weak_because="the mean of so few samples says little",
    ),
)

METRICS: Mapping[str, MetricSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def get_metric(name: str) -> MetricSpec:
    """The spec called `name`.

    Raises: BadInput naming the metrics there are.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise BadInput(f"There is no metric called “{name}”; choose from {', '.join(METRICS)}.") from None


def columns_of(metrics: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The columns that `metrics` need, each once, in registry order."""
    wanted = {column for name in metrics for column in get_metric(name).columns}
    return tuple(dict.fromkeys(column for spec in _SPECS for column in spec.columns if column in wanted))
