"""Distances between the set of samples and a reference set. Their reducers: `reducers.AGAINST_REFERENCE`."""

from metrics.engine.registry.spec import MetricSpec, Need

SETS = (
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
)
