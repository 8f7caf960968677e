"""Which reducer makes which metric.

A new metric is a row in `registry`, an extractor for each new column, and a row in one of the two tables below: a
factory of its `Reducer`, called once for each merge. Metrics whose rows hold the same factory object share one reducer
and so its work.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any
from typing import Protocol as Interface

from metrics.engine.blocks import Block
from metrics.engine.clip_score import ClipMean
from metrics.engine.clip_similarity import ClipImageMean, DirectionalMean
from metrics.engine.errors import BadInput
from metrics.engine.fid import FidReducer
from metrics.engine.frame_consistency import FrameConsistency
from metrics.engine.intervals import Estimate
from metrics.engine.kid import KidReducer
from metrics.engine.moments import Rows
from metrics.engine.psnr import PsnrMean
from metrics.engine.reduced import ColumnMean, Reduced, Reducer
from metrics.engine.references import Reference
from metrics.engine.registry import get_metric


class RowReducer(Interface):
    """A distance from a set, taken from rows of features."""

    def add(self, rows: Rows) -> None: ...

    def estimate(self) -> Estimate: ...


class SetDistance:
    """A distance between the samples' rows of one column and a reference set."""

    def __init__(self, column: str, rows: RowReducer) -> None:
        self._column, self._rows = column, rows

    def add(self, block: Block) -> None:
        self._rows.add(block.columns[self._column])

    def finish(self, metric: str) -> Reduced:
        return Reduced(self._rows.estimate())


def _fid(reference: Reference) -> Reducer:
    return SetDistance("inception", FidReducer(reference.column("inception").moments))


def _kid(reference: Reference) -> Reducer:
    return SetDistance("inception", KidReducer(reference.column("inception").kept_features("KID")))


WITHOUT_REFERENCE: Mapping[str, Callable[[], Reducer]] = MappingProxyType(
    {
        "lpips": partial(ColumnMean, "lpips_alex"),
        "lpips_vgg": partial(ColumnMean, "lpips_vgg"),
        "dists": partial(ColumnMean, "dists"),
        "psnr": partial(PsnrMean, "squared_error"),
        "ssim": partial(ColumnMean, "ssim"),
        "ms_ssim": partial(ColumnMean, "ms_ssim"),
        "clip_image_similarity": ClipImageMean,
        "clip_score": ClipMean,
        "clip_directional": DirectionalMean,
        "lpips_outside": partial(ColumnMean, "lpips_outside"),
        "psnr_outside": partial(PsnrMean, "squared_error_outside"),
        "frame_consistency": FrameConsistency,
    }
)
"""Metrics that look at each sample (with its own partner, where they need one)."""

AGAINST_REFERENCE: Mapping[str, Callable[[Reference], Reducer]] = MappingProxyType({"fid": _fid, "kid": _kid})
"""Metrics that compare the samples with a reference set: those whose registry row has `Need.REFERENCE_SET`."""


def reducers_for(metrics: Sequence[str], reference: Reference | None) -> dict[str, Reducer]:
    """A fresh reducer for each of `metrics`; the same one for those that share a factory.

    Raises: BadInput if a metric compares with a reference set and there is none.
    """
    made: dict[Callable[..., Any], Reducer] = {}
    reducers: dict[str, Reducer] = {}
    for metric in metrics:
        if metric in WITHOUT_REFERENCE:
            alone = WITHOUT_REFERENCE[metric]
            reducers[metric] = made[alone] if alone in made else made.setdefault(alone, alone())
            continue
        if reference is None:
            raise BadInput(f"{get_metric(metric).title} compares with a reference set, and none was given; give one.")
        against = AGAINST_REFERENCE[metric]
        reducers[metric] = made[against] if against in made else made.setdefault(against, against(reference))
    return reducers
