"""The cluster bootstrap: slower than the sandwich and free of its algebra, so a check of it. It runs in one process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy  # its parts take long to load, and load when they are used

from raters.ranking.connections import connect
from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.fit import Model, Objective, fit_votes, maximise
from raters.ranking.intervals import compress
from raters.ranking.likelihood import Cells
from raters.ranking.threads import one_thread
from raters.ranking.votes import Codes, Floats, Votes

By = Literal["rater", "prompt", "vote"]

AT_ONCE = 25  # replicates
# A replicate is fitted when a Newton step is this short, in natural-log units; what is left is about its square.
TOLERANCE = 1e-4


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


@one_thread
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
    if by != "vote" and getattr(votes, by) is None:
        raise MalformedVotes(f"A bootstrap by {by} needs the {by} of every vote, but there is no such column.")
    connections = connect(votes, names)
    members = np.flatnonzero(connections.linked if phantom else connections.ranked)
    within = votes.among(members, len(names))
    fitted = fit_votes(within, len(members), model=model, position=position, phantom=phantom)
    estimate = fitted.estimate
    if estimate is None:
        raise MalformedVotes("A bootstrap needs votes that can be fitted, but these have no finite fit.")
    cells = estimate.cells
    clusters = np.arange(len(within)) if by == "vote" else compress(getattr(within, by))
    reference = connections.ranked[members] if connections.ranked.any() else np.ones(len(members), dtype=bool)
    strengths = np.full((replicates, len(names)), np.nan)
    drawn = _drawn_counts(cells, clusters, replicates, np.random.default_rng(seed))
    for replicate, counts in enumerate(drawn):
        objective = Objective(replace(cells, counts=counts), estimate.derivatives.tie is not None, phantom)
        again = maximise(objective, estimate.parameters, tolerance=TOLERANCE)
        if again.converged:
            found = again.parameters[: len(members)]
            strengths[replicate, members] = found - found[reference].mean()
    return Bootstrap(strengths, int(np.isnan(strengths).all(axis=1).sum()))


def _drawn_counts(cells: Cells, clusters: Codes, replicates: int, random: np.random.Generator) -> Iterator[Floats]:
    """(3, C) counts of each replicate, some at a time: one product of how often each cluster was drawn with its own."""
    groups = int(clusters.max()) + 1
    weight = np.ones(len(clusters)) if cells.votes.weight is None else cells.votes.weight
    own = scipy.sparse.coo_array((weight, (cells.place, clusters)), shape=(cells.counts.size, groups)).tocsr()
    even = np.full(groups, 1 / groups)
    for begin in range(0, replicates, AT_ONCE):
        times = random.multinomial(groups, even, min(AT_ONCE, replicates - begin))
        counts = np.ascontiguousarray((own @ times.T.astype(np.float64)).T)
        yield from counts.reshape(len(times), *cells.counts.shape)
