"""Which reducer makes which metric.

A new metric is a row in `registry`, an extractor for each new column, and a row in one of two tables, the one below or
`set_distances.AGAINST_REFERENCE`: a factory of its `Reducer`, called once for each merge. Metrics whose rows hold the
same factory object share one reducer and so its work.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from metrics.engine.clip_score import ClipMean
from metrics.engine.clip_similarity import ClipImageMean, DirectionalMean
from metrics.engine.errors import BadInput
from metrics.engine.frame_consistency import FrameConsistency
from metrics.engine.psnr import PsnrMean
from metrics.engine.reduced import ColumnMean, Reducer
from metrics.engine.references import Reference
from metrics.engine.registry import get_metric
from metrics.engine.set_distances import AGAINST_REFERENCE

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
