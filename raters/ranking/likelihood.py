"""The two likelihoods, Davidson and Bradley–Terry with half-win ties, on votes tallied by ordered pair.

With a on the left, b on the right and u = λ_a − λ_b + δ + β·x (δ the position effect, β those of covariates x):

    Davidson       (left, right, tie) ∝ (e^{u/2}, e^{−u/2}, e^η), ν = e^η
    Bradley–Terry  P(left) = 1 / (1 + e^{−u}); a tie is half a win for each side

Sources: Bradley & Terry 1952; Davidson 1970; Davidson & Beaver 1977 for the order effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raters.ranking.votes import BOTH_BAD, TIE, Codes, Floats, Votes


@dataclass(frozen=True, eq=False)
class Cells:
    """Votes tallied by ordered pair of contestants (with covariates: each vote by itself).

    Args:
        first, second: (C,) contestant on the left and on the right.
        counts: (3, C) weight of votes for left, for right, and of ties (both bad among them).
        contestants: K.
        effects: (p, C) what multiplies each effect in u: 1 for the position, then the covariates.
        of_vote: (n,) the cell of each vote.
        answer: (n,) 0, 1 or 2: the row of `counts` that the vote went to.
        weight: (n,) of each vote, or None for 1 each.
    """

    first: Codes
    second: Codes
    counts: Floats
    contestants: int
    effects: Floats
    of_vote: Codes
    answer: Codes
    weight: Floats | None = None

    @classmethod
    def tally(cls, votes: Votes, contestants: int, *, position: bool, covariates: Mapping[str, Floats]) -> "Cells":
        """`covariates` have one entry per vote."""
        first, second, of_vote = votes.left, votes.right, np.arange(len(votes))
        if not covariates:
            pair = first * contestants + second
            used = np.flatnonzero(np.bincount(pair, minlength=contestants**2))
            first, second = np.divmod(used, contestants)
            place = np.zeros(contestants**2, dtype=np.int64)
            place[used] = np.arange(len(used))
            of_vote = place[pair]
        answer = np.where(votes.outcome == BOTH_BAD, TIE, votes.outcome)
        counts = np.bincount(answer * len(first) + of_vote, votes.weight, 3 * len(first))
        effects = [np.ones(len(first))] * position + list(covariates.values())
        return cls(
            first=first,
            second=second,
            counts=counts.reshape(3, -1).astype(np.float64),
            contestants=contestants,
            effects=np.array(effects).reshape(len(effects), len(first)),
            of_vote=of_vote,
            answer=answer,
            weight=votes.weight,
        )

    @property
    def held(self) -> int:
        """How many parameters there are before η: strengths and effects."""
        return self.contestants + len(self.effects)

    def predictor(self, parameters: Floats) -> Floats:
        """u of each cell, (C,), from (λ_1 … λ_K, effects …, η if any)."""
        u = parameters[self.first] - parameters[self.second]
        return np.asarray(u + parameters[self.contestants : self.held] @ self.effects)

    def gradient(self, slope: Floats, tie_slope: Floats | None) -> Floats:
        """Σ over cells of slope · ∂u/∂parameters; `tie_slope` is the sum for η."""
        k = self.contestants
        strengths = np.bincount(self.first, slope, k) - np.bincount(self.second, slope, k)
        tail = [] if tie_slope is None else [tie_slope.sum()]
        return np.concatenate([strengths, self.effects @ slope, tail])

    def quadratic(self, uu: Floats, u_tie: Floats | None, tie_tie: Floats | None) -> Floats:
        """Σ over cells of weight · outer(∂/∂parameters), (P, P): an information matrix or a sum of squared scores."""
        k = self.contestants
        pairs = np.bincount(self.first * k + self.second, uu, k * k).reshape(k, k)
        edges = [self.gradient(uu * effect, None)[: k + i + 1] for i, effect in enumerate(self.effects)]
        if u_tie is not None and tie_tie is not None:
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
        slope, tie_slope: (3, C) ∂log p/∂u and ∂log p/∂η of each answer (tie_slope None without η).
        curvature: (C,) information of one vote about u; `cross` about u and η, `tie_curvature` about η.
    """

    value: float
    slope: Floats
    curvature: Floats
    tie_slope: Floats | None = None
    cross: Floats | None = None
    tie_curvature: Floats | None = None


def bradley_terry(counts: Floats, u: Floats) -> Derivatives:
    """Bradley–Terry with half-win ties: `counts` (3, C), `u` (C,)."""
    log_left, log_right = -np.logaddexp(0.0, -u), -np.logaddexp(0.0, u)
    left, right, ties = counts
    p = np.exp(log_left)
    return Derivatives(
        value=float((left + ties / 2) @ log_left + (right + ties / 2) @ log_right),
        slope=np.stack([1 - p, -p, 0.5 - p]),
        curvature=p * np.exp(log_right),
    )


def davidson(counts: Floats, u: Floats, eta: float) -> Derivatives:
    """Davidson's ties: `counts` (3, C), `u` (C,), eta = ln ν."""
    z = u / 2
    log_total = np.logaddexp(np.logaddexp(z, -z), eta)
    left, right, tie = np.exp(z - log_total), np.exp(-z - log_total), np.exp(eta - log_total)
    s = left - right
    return Derivatives(
        value=float(counts[0] @ (z - log_total) + counts[1] @ (-z - log_total) + counts[2] @ (eta - log_total)),
        slope=np.stack([1 - s, -1 - s, -s]) / 2,
        curvature=(left + right - s * s) / 4,
        tie_slope=np.stack([-tie, -tie, 1 - tie]),
        cross=-s * tie / 2,
        tie_curvature=tie * (1 - tie),
    )


def outcome_probabilities(u: NDArray[np.float64], tie: float) -> Floats:
    """(3, …) probabilities of left, right and tie at predictor u with Davidson's ν = `tie` (0: no ties)."""
    z = np.abs(u) / 2
    stronger, weaker, level = np.ones_like(z), np.exp(-2 * z), tie * np.exp(-z)
    total = stronger + weaker + level
    left = np.where(u >= 0, stronger, weaker)
    return np.stack([left, stronger + weaker - left, level]) / total
