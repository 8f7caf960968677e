"""What if one rater had not voted? How far each rater (or address, or day) moves the ratings and who comes out on top.

To first order the ratings without group c move by −A⁻¹g_c, A the information and g_c the sum of the group's scores, so
that all groups take one matrix product. For those that matter the fit is made again without them, exactly.

Sources: Cook & Weisberg 1982 (influence); Broderick, Giordano & Meager 2020 (which few votes change a conclusion).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from raters.ranking.connections import connect
from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.fit import Estimate, Model, Objective, fit_votes, maximise
from raters.ranking.intervals import compress, model_covariance, summed_scores
from raters.ranking.ranking import ELO
from raters.ranking.threads import one_thread
from raters.ranking.votes import Codes, Floats, Votes

TOP = 3
REFITS = 10


@dataclass(frozen=True)
class GroupInfluence:
    """What leaving one group out does.

    Args:
        group: its code.
        votes: how many it cast on the ranked.
        largest: the largest change of a rating, Elo, with its sign, and `moved` whose rating that is.
        top: the best contestants without the group, best first.
        changes_top: whether these are others, or in another order, than with it.
        exact: whether the numbers are those of a fit without the group, and not a first approximation.
    """

    group: int
    votes: int
    largest: float
    moved: str
    top: tuple[str, ...]
    changes_top: bool
    exact: bool


@dataclass(frozen=True, eq=False)
class Influence:
    """Args:
    top: the best contestants with everybody's votes, best first.
    groups: those with a vote on the ranked; first those that change the top, then by the size of their largest change.
    codes: (G,) of the groups, in rising order; that of the rows of `shifts`.
    shifts: (G, K) change of each rating when the group is left out, Elo, the mean of the ranked staying where it is;
        nan for who is not ranked. Exact for the groups that were fitted again.
    """

    top: tuple[str, ...]
    groups: tuple[GroupInfluence, ...]
    codes: Codes
    shifts: Floats


@one_thread
def find_influence(
    votes: Votes,
    names: Sequence[str],
    *,
    groups: Codes | None = None,
    top: int = TOP,
    refits: int = REFITS,
    model: Model = "davidson",
    position: bool = True,
    phantom: float = 0.5,
) -> Influence:
    """Leaves each group of votes out in turn.

    Args:
        groups: (n,) non-negative codes of what is left out together; by default the raters.
        top: how many of the best ranks are watched.
        refits: how many of the groups that move most are fitted again, exactly.
        model, position, phantom: as in `rank`.
    Raises:
        MalformedVotes: the votes have no rater or no fit, or `groups` is not one code per vote.
        UnknownOption: `top` is below 1 or `refits` below 0.
    """
    column = votes.rater if groups is None else np.asarray(groups)
    if column is None or column.shape != (len(votes),):
        raise MalformedVotes("Influence needs the rater, or another group, of every vote; add that column.")
    if top < 1 or refits < 0:
        raise UnknownOption(f"Influence watches at least one rank and refits from 0 up, got {top} and {refits}.")
    connections = connect(votes if votes.weight is None else votes.only(votes.weight > 0), names)
    members = np.flatnonzero(connections.linked if phantom else connections.ranked)
    ranked = connections.ranked[members]
    within = votes.among(members, len(names))
    fitted = fit_votes(within, len(members), model=model, position=position, phantom=phantom)
    if fitted.estimate is None or not ranked.any() or len(fitted.votes) != len(within):
        raise MalformedVotes("Influence needs votes that rank at least two contestants, but these rank none.")
    column = column[np.isin(votes.left, members) & np.isin(votes.right, members)]
    codes, group = np.unique(column), compress(column)
    out = _LeftOut(fitted.estimate, group, np.flatnonzero(ranked), phantom)
    shifts = out.approximately()
    listed = [names[i] for i in members[ranked]]
    before = out.strengths(fitted.estimate)
    first = _best(before, listed, top)
    tops = [_best(before + shift, listed, top) for shift in shifts]
    size = np.abs(shifts).max(axis=1)
    order = sorted(range(len(codes)), key=lambda g: (tops[g] == first, -size[g], g))
    refitted = set()
    for g in order[:refits]:
        exact = out.exactly(g)
        if exact is not None:
            shifts[g], tops[g] = exact - before, _best(exact, listed, top)
            refitted.add(g)
    size, most = np.abs(shifts).max(axis=1), np.abs(shifts).argmax(axis=1)
    cast = np.bincount(group)
    everywhere = np.full((len(codes), len(names)), np.nan)
    everywhere[:, members[ranked]] = shifts * ELO
    return Influence(
        top=first,
        groups=tuple(
            GroupInfluence(
                group=int(codes[g]),
                votes=int(cast[g]),
                largest=float(shifts[g, most[g]]) * ELO,
                moved=listed[most[g]],
                top=tops[g],
                changes_top=tops[g] != first,
                exact=g in refitted,
            )
            for g in sorted(range(len(codes)), key=lambda g: (tops[g] == first, -size[g], g))
        ),
        codes=codes,
        shifts=everywhere,
    )


def _best(strengths: Floats, names: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(name for _, name in sorted(zip(-strengths, names, strict=True))[:count])


@dataclass(frozen=True, eq=False)
class _LeftOut:
    """Args:
    group: (n,) codes 0 … G−1 of the estimate's votes.
    ranked: positions of the ranked among the estimate's contestants, whose strengths have mean 0 here.
    """

    estimate: Estimate
    group: Codes
    ranked: Codes
    phantom: float

    def strengths(self, estimate: Estimate) -> Floats:
        """(m,) of the ranked, natural-log units."""
        found = estimate.parameters[self.ranked]
        return np.asarray(found - found.mean())

    def approximately(self) -> Floats:
        """(G, m) change of the strengths without each group, to first order."""
        scores = summed_scores(self.estimate, np.arange(len(self.group)), self.group)
        moved = -(scores @ model_covariance(self.estimate))[:, self.ranked]
        return np.asarray(moved - moved.mean(axis=1, keepdims=True))

    def exactly(self, group: int) -> Floats | None:
        """(m,) strengths without a group; None where the votes left have no finite fit (which takes `phantom` 0)."""
        cells = self.estimate.cells
        own = self.group == group
        weight = None if cells.votes.weight is None else cells.votes.weight[own]
        gone = np.bincount(cells.place[own], weight, cells.counts.size).reshape(cells.counts.shape)
        ties = self.estimate.derivatives.tie is not None
        rest = replace(cells, counts=np.maximum(cells.counts - gone, 0))
        again = maximise(Objective(rest, ties, self.phantom), self.estimate.parameters)
        return self.strengths(again) if again.converged else None
