"""The cluster bootstrap: slower than the sandwich and free of its algebra, so a check of it. It runs in one process."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import coo_array

from raters.ranking.connections import connect
from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.fit import Model, Objective, fit_votes, maximise
from raters.ranking.intervals import compress
from raters.ranking.votes import Floats, Votes

By = Literal["rater", "prompt", "vote"]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Args:
    strengths: (replicates, K) natural-log strengths, mean 0 over the ranked; nan without a rating, and in a replicate
        without a finite fit.
    failed: how many replicates had none.
    """

    strengths: Floats
    failed: int

    def covariance(self) -> Floats:
        """(K, K) over the replicates that could be fitted."""
        fitted = self.strengths[np.isfinite(self.strengths).any(axis=1)]
        return np.asarray(np.cov(fitted, rowvar=False))


def bootstrap(
    votes: Votes,
    names: Sequence[str],
    *,
    by: By = "rater",
    replicates: int = 200,
    model: Model = "davidson",
    position: bool = True,
    phantom: float = 0.5,
    seed: int = 0,
) -> Bootstrap:
    """Fits again and again, with raters (or prompts, or single votes) drawn with replacement.

    A replicate is a weight per cluster, and its tally one product with the clusters' own tallies; Newton starts at the
    estimate of all votes.

    Raises:
        UnknownOption: `by` or `replicates` is none that can be.
        MalformedVotes: the votes lack that column, or have no fit themselves.
    """
    if by not in ("rater", "prompt", "vote") or replicates < 2:
        raise UnknownOption(f"A bootstrap is by rater, prompt or vote, twice or more; got {by!r}, {replicates} times.")
    column = np.arange(len(votes)) if by == "vote" else getattr(votes, by)
    if column is None:
        raise MalformedVotes(f"A bootstrap by {by} needs the {by} of every vote, but there is no such column.")
    connections = connect(votes, names)
    members = np.flatnonzero(connections.linked if phantom else connections.ranked)
    fitted = fit_votes(votes.among(members, len(names)), len(members), model=model, position=position, phantom=phantom)
    estimate = fitted.estimate
    if estimate is None:
        raise MalformedVotes("A bootstrap needs votes that can be fitted, but these have no finite fit.")
    cells = estimate.cells
    clusters = compress(column[np.isin(votes.left, members) & np.isin(votes.right, members)])
    groups = int(clusters.max()) + 1
    places = cells.answer * len(cells.first) + cells.of_vote
    weight = np.ones(len(places)) if cells.weight is None else cells.weight
    tallies = coo_array((weight, (clusters, places)), shape=(groups, cells.counts.size)).tocsr()
    random = np.random.default_rng(seed)
    reference = connections.ranked[members] if connections.ranked.any() else np.ones(len(members), dtype=bool)
    strengths = np.full((replicates, len(names)), np.nan)
    for replicate in range(replicates):
        drawn = random.multinomial(groups, np.full(groups, 1 / groups))
        counts = (tallies.T @ drawn).reshape(cells.counts.shape)
        again = maximise(
            Objective(replace(cells, counts=counts), estimate.derivatives.tie_slope is not None, phantom),
            estimate.parameters,
        )
        if again.converged:
            found = again.parameters[: len(members)]
            strengths[replicate, members] = found - found[reference].mean()
    return Bootstrap(strengths, int(np.isnan(strengths).all(axis=1).sum()))
