"""The two likelihoods, Davidson and Bradley–Terry with half-win ties, on votes tallied by ordered pair.

With a on the left, b on the right and u = λ_a − λ_b + δ + β·x (δ the position effect, β those of covariates x):

    Davidson       (left, right, tie) ∝ (e^{u/2}, e^{−u/2}, e^η), ν = e^η
    Bradley–Terry  P(left) = 1 / (1 + e^{−u}); a tie is half a win for each side

Sources: Bradley & Terry 1952; Davidson 1970; Davidson & Beaver 1977 for the order effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from raters.ranking.votes import TIE, Codes, Floats, Pairs, Votes

FOR_LEFT = np.array([[1.0], [-1.0], [0.0]])  # what a vote for left, for right, or a tie says of the left side
FOR_TIE = np.array([[0.0], [0.0], [1.0]])
LARGEST_EXPONENT = 700.0  # e to a larger one is no floating-point number


@dataclass(frozen=True, eq=False)
class Cells:
    """Votes tallied by ordered pair of contestants (with covariates: each vote by itself).

    Args:
        first, second: (C,) contestant on the left and on the right.
        counts: (3, C) weight of votes for left, for right, and of ties (both bad among them).
        contestants: K.
        effects: (p, C) what multiplies each effect in u: 1 for the position, then the covariates.
        votes: those tallied.
        single: whether each vote is a cell by itself.
    """

    first: Codes
    second: Codes
    counts: Floats
    contestants: int
    effects: Floats
    votes: Votes
    single: bool = False

    @classmethod
    def tally(cls, votes: Votes, contestants: int, *, position: bool, covariates: Mapping[str, Floats]) -> "Cells":
        """`covariates` have one entry per vote."""
        answer, n = np.minimum(votes.outcome, TIE), len(votes)
        if covariates:
            counts = np.bincount(answer * n + np.arange(n), votes.weight, 3 * n).reshape(3, n)
            pairs = Pairs(votes.left, votes.right, counts)
        else:
            pairs = Pairs.count(votes, answer, 3, contestants, votes.weight)
        effects = [np.ones(len(pairs.first))] * position + list(covariates.values())
        return cls(
            first=pairs.first,
            second=pairs.second,
            counts=pairs.counts.astype(np.float64),
            contestants=contestants,
            effects=np.array(effects).reshape(len(effects), len(pairs.first)),
            votes=votes,
            single=bool(covariates),
        )

    @cached_property
    def of_vote(self) -> Codes:
        """(n,) the cell of each vote."""
        if self.single:
            return np.arange(len(self.votes))
        return Pairs(self.first, self.second, self.counts).cell(self.votes, self.contestants)

    @cached_property
    def answer(self) -> Codes:
        """(n,) 0, 1 or 2: the row of `counts` that each vote went to."""
        return np.minimum(self.votes.outcome, TIE)

    @cached_property
    def place(self) -> Codes:
        """(n,) where in `counts`, flattened, each vote was counted."""
        return np.asarray(self.answer * len(self.first) + self.of_vote)

    @cached_property
    def pair(self) -> Codes:
        """(C,) the place of each cell in a flattened (K, K)."""
        return self.first * self.contestants + self.second

    @cached_property
    def total(self) -> Floats:
        """(C,) weight of all votes."""
        return np.asarray(self.counts.sum(axis=0))

    @cached_property
    def lead(self) -> Floats:
        """(C,) weight of the votes for left less that of those for right."""
        return np.asarray(self.counts[0] - self.counts[1])

    def counts_of_squares(self, chosen: NDArray[np.bool_] | None = None) -> Floats:
        """(3, C) as `counts`, of the chosen votes with their weights squared; by default of all."""
        if self.votes.weight is None and chosen is None:
            return self.counts
        place = self.place if chosen is None else self.place[chosen]
        weight = self.votes.weight if chosen is None or self.votes.weight is None else self.votes.weight[chosen]
        squares = None if weight is None else weight**2
        return np.bincount(place, squares, self.counts.size).reshape(self.counts.shape).astype(np.float64)

    @property
    def held(self) -> int:
        """How many parameters there are before η: strengths and effects."""
        return self.contestants + len(self.effects)

    def predictor(self, parameters: Floats) -> Floats:
        """u of each cell, (C,), from (λ_1 … λ_K, effects …, η if any)."""
        u = parameters[self.first] - parameters[self.second]
        return np.asarray(u + parameters[self.contestants : self.held] @ self.effects)

    def gradient(self, slope: Floats, tie_slope: float | None) -> Floats:
        """Σ over cells of slope · ∂u/∂parameters; `tie_slope` is the sum for η."""
        k = self.contestants
        strengths = np.bincount(self.first, slope, k) - np.bincount(self.second, slope, k)
        return np.concatenate([strengths, self.effects @ slope, [] if tie_slope is None else [tie_slope]])

    def quadratic(self, uu: Floats, u_tie: Floats | None, tie_tie: float) -> Floats:
        """Σ over cells of weight · outer(∂/∂parameters), (P, P): an information matrix or a sum of squared scores."""
        k = self.contestants
        pairs = np.bincount(self.pair, uu, k * k).reshape(k, k)
        edges = [self.gradient(uu * effect, None)[: k + i + 1] for i, effect in enumerate(self.effects)]
        if u_tie is not None:
            edges.append(self.gradient(u_tie, tie_tie))
        whole = np.zeros((k + len(edges),) * 2)
        whole[:k, :k] = np.diag(pairs.sum(axis=0) + pairs.sum(axis=1)) - pairs - pairs.T
        for i, edge in enumerate(edges):
            whole[k + i, : len(edge)] = edge
            whole[: len(edge), k + i] = edge
        return whole


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Log-likelihood and its derivatives per vote, by cell.

    Args:
        value: the log-likelihood of all votes, in nats.
        left, right, tie: (C,) probability of each answer; `tie` is None without η, where ties count as half a win.
    """

    value: float
    left: Floats
    right: Floats
    tie: Floats | None = None

    @cached_property
    def lead(self) -> Floats:
        """(C,) by how much left is the more probable."""
        return np.asarray(self.left - self.right)

    @cached_property
    def curvature(self) -> Floats:
        """(C,) information of one vote about u."""
        decided = self.left * self.right
        return np.asarray(decided if self.tie is None else decided + self.tie * (1 - self.tie) / 4)

    @cached_property
    def slope(self) -> Floats:
        """(3, C) ∂log p/∂u of each answer."""
        return np.asarray((FOR_LEFT - self.lead) / 2)

    @cached_property
    def tie_slope(self) -> Floats | None:
        """(3, C) ∂log p/∂η of each answer."""
        return None if self.tie is None else np.asarray(FOR_TIE - self.tie)


def derive(cells: Cells, u: Floats, eta: float | None) -> Derivatives:
    """Of Davidson's model with eta = ln ν, or of Bradley–Terry with half-win ties where eta is None; `u` is (C,)."""
    far = np.abs(u)
    weaker = np.exp(-far)  # the answers' odds against the stronger side's win
    level = None if eta is None else np.exp(np.minimum(eta - far / 2, LARGEST_EXPONENT))
    odds = 1 + weaker if level is None else 1 + weaker + level
    value = float(cells.lead @ u - cells.total @ far) / 2 - float(cells.total @ np.log(odds))
    stronger, weaker = 1 / odds, weaker / odds
    left_leads = u >= 0
    return Derivatives(
        value=value if eta is None else value + eta * float(cells.counts[2].sum()),
        left=np.where(left_leads, stronger, weaker),
        right=np.where(left_leads, weaker, stronger),
        tie=None if level is None else level / odds,
    )


def outcome_probabilities(u: NDArray[np.float64], tie: float) -> Floats:
    """(3, …) probabilities of left, right and tie at predictor u with Davidson's ν = `tie` (0: no ties)."""
    z = np.abs(u) / 2
    stronger, weaker, level = np.ones_like(z), np.exp(-2 * z), tie * np.exp(-z)
    total = stronger + weaker + level
    left = np.where(u >= 0, stronger, weaker)
    return np.stack([left, stronger + weaker - left, level]) / total
