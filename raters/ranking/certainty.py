"""How sure each strength is: which covariance is used, and where the Laplace interval stands in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raters.ranking.fit import Estimate
from raters.ranking.intervals import (
    compress,
    difference_variances,
    distinct_clusters,
    model_covariance,
    quantile,
    sandwich,
)
from raters.ranking.notices import cluster_notice
from raters.ranking.result import Effect
from raters.ranking.votes import Codes, Floats, Tally

FEW_COMPARISONS = 30  # a contestant with fewer is not left to its sandwich alone, nor one with fewer than …
FEW_DECISIONS = 5  # … wins or losses, nor one judged by fewer than …
FEW_CLUSTERS = 5  # … raters or on fewer prompts
LEAST_CLUSTERS = 3  # with fewer, that clustering is left out: two raters say nothing of a third
COLLAPSED = 0.01  # a sandwich variance below this share of the model's is an artefact of vanishing residuals


@dataclass(frozen=True, eq=False)
class Certainty:
    """Estimates and covariances in natural-log units.

    Args:
        strengths: (k,) with mean 0 over the ranked.
        covariance: (k, k) of them, from the sandwich, with the Laplace variance where that stands in.
        model: (k, k) from the model alone.
        laplace: (k,) where it stands in.
        effects: of the position and the covariates, in the order of the fit's cells.
        clusters: how many raters and prompts the sandwich is clustered by.
        degrees_of_freedom: of its t quantile.
    """

    strengths: Floats
    covariance: Floats
    model: Floats
    laplace: NDArray[np.bool_]
    effects: tuple[Effect, ...]
    tie: Effect
    clusters: dict[str, int]
    degrees_of_freedom: float

    @classmethod
    def none(cls) -> "Certainty":
        """Of a fit that there is not."""
        nothing = np.zeros(0)
        return cls(nothing, np.zeros((0, 0)), np.zeros((0, 0)), nothing.astype(bool), (), Effect(), {}, np.inf)


def usable_clusters(clusters: Mapping[str, Codes], small: bool) -> tuple[dict[str, Codes], list[str]]:
    """The columns with enough raters or prompts to cluster by, numbered without gaps; a notice for each that is thin.

    Without the small-cluster correction whatever has two clusters is taken as it is.
    """
    kept, notices = {}, []
    for kind, column in clusters.items():
        codes = compress(column)
        count = int(codes.max(initial=-1)) + 1
        if count >= (LEAST_CLUSTERS if small else 2):
            kept[kind] = codes
        if notice := cluster_notice(kind, count, LEAST_CLUSTERS):
            notices.append(notice)
    return kept, notices


def find_certainty(
    estimate: Estimate, ranked: NDArray[np.bool_], tally: Tally, clusters: Mapping[str, Codes], small: bool
) -> Certainty:
    """Covariances around the mean of the ranked.

    Args:
        ranked: (k,) who of the fitted contestants is ranked; the tally is theirs too.
        clusters: from `usable_clusters`.
        small: whether to correct for few clusters and few votes.
    """
    k = estimate.cells.contestants
    counts = {kind: int(codes.max()) + 1 for kind, codes in clusters.items()}
    freedom = float(min(counts.values()) - 1) if small and counts else np.inf
    centre = np.eye(len(estimate.parameters))
    reference = ranked if ranked.any() else np.ones(k, dtype=bool)
    centre[:k, :k] -= reference / reference.sum()
    robust = centre @ sandwich(estimate, clusters, small) @ centre.T
    model = centre @ model_covariance(estimate) @ centre.T

    own, modelled = np.diag(robust), np.diag(model)
    doubtful = own < COLLAPSED * modelled
    doubtful[:k] |= ~ranked
    if small:
        doubtful |= _few(estimate, tally, clusters)
    sure = np.flatnonzero(~doubtful[:k])
    pairs = np.ix_(sure, sure)
    collapsed = difference_variances(robust[pairs]) < COLLAPSED * difference_variances(model[pairs])
    doubtful[sure] |= collapsed.any(axis=1)
    laplace = doubtful & (quantile(np.inf) ** 2 * modelled > quantile(freedom) ** 2 * own)
    # Added on the diagonal: the extra uncertainty is the contestant's own, and the matrix stays positive semi-definite.
    combined = robust + np.diag(np.where(laplace, np.maximum(modelled - own, 0), 0))
    errors = np.sqrt(np.diag(combined))
    held = range(k, estimate.cells.held)
    return Certainty(
        strengths=(centre @ estimate.parameters)[:k],
        covariance=combined[:k, :k],
        model=model[:k, :k],
        laplace=laplace[:k],
        effects=tuple(Effect(float(estimate.parameters[i]), float(errors[i])) for i in held),
        tie=_tie(estimate, float(errors[-1])),
        clusters=counts,
        degrees_of_freedom=freedom,
    )


def _few(estimate: Estimate, tally: Tally, clusters: Mapping[str, Codes]) -> NDArray[np.bool_]:
    """(P,) the parameters whose votes are too few, or too one-sided, for a sandwich."""
    k = estimate.cells.contestants
    few = np.full(len(estimate.parameters), len(estimate.cells.votes) < FEW_COMPARISONS)
    few[:k] = (tally.comparisons < FEW_COMPARISONS) | (np.minimum(tally.wins, tally.losses) < FEW_DECISIONS)
    for codes in clusters.values():
        few[:k] |= distinct_clusters(estimate.cells, codes) < FEW_CLUSTERS
    return few


def _tie(estimate: Estimate, error: float) -> Effect:
    """ν, from the estimate of ln ν and its standard error."""
    if estimate.derivatives.tie is None:
        return Effect(value=0.0 if len(estimate.cells.votes) else None)
    nu = float(np.exp(estimate.parameters[-1]))
    return Effect(nu, nu * error)
