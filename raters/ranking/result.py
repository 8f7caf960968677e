"""What a ranking says: frozen rows and the numbers behind them."""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import scipy  # its parts take long to load, and load when they are used

from raters.ranking.intervals import difference_variances, quantile
from raters.ranking.votes import Floats

Settings = dict[str, str | float | int | list[str] | None]
Interval = Literal["sandwich", "laplace"]


@dataclass(frozen=True)
class Effect:
    """A model parameter with its standard error; None where the votes do not determine it."""

    value: float | None = None
    se: float | None = None

    def scaled(self, unit: float) -> "Effect":
        return Effect(*(None if number is None else number * unit for number in (self.value, self.se)))


@dataclass(frozen=True)
class Row:
    """One contestant.

    Ranked: all numbers are set. Provisional (linked to the ranked, but never lost, never won, or otherwise linked one
    way only): a rating with its interval, but no rank. Otherwise the rating is None: the votes cannot compare it.

    Args:
        rating, se, low, high: on the ranking's scale; `low` to `high` is the 95 % interval.
        rank_low, rank_high: the best and worst rank that the simultaneous 95 % comparison of all pairs leaves open.
        interval: how `se` was found; "laplace" where votes are few.
        comparisons: wins + losses + ties + both_bad.
    """

    name: str
    rating: float | None
    se: float | None
    low: float | None
    high: float | None
    rank_low: int | None
    rank_high: int | None
    interval: Interval | None
    comparisons: int
    wins: int
    losses: int
    ties: int
    both_bad: int

    @property
    def ranked(self) -> bool:
        return self.rank_low is not None

    @property
    def floor_rate(self) -> float | None:
        """The share of its comparisons in which both sides were bad."""
        return self.both_bad / self.comparisons if self.comparisons else None


@dataclass(frozen=True)
class Difference:
    """Rating of one contestant minus another's, with its 95 % interval and the probability that it is positive."""

    value: float
    se: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """A frozen ranking.

    Args:
        rows: from the best rating down, provisional ones among them; last those without a rating.
        position: how much stronger the left side is, on the ranking's scale (None where not estimated).
        tie: Davidson's ν: at equal strength a tie is ν/2 times as likely as a decision (0: no ties were seen).
        covariates: what a difference of one root mean square is worth, on the ranking's scale.
        warnings: full sentences.
        settings: all that is needed to reproduce this from the same votes; JSON values.
        clusters: number of raters and prompts that the intervals are clustered by; empty for HC0.
        degrees_of_freedom: of the t quantile behind the intervals; infinity for the normal one.
        names: contestants in the order of their codes; the order of the arrays below.
        strengths: (K,) natural-log strengths, mean 0 over the ranked; nan without a rating.
        covariance: (K, K) of `strengths`, as used by the intervals; nan without a rating.
        model_covariance: (K, K) inverse information: what the Laplace intervals use.
    """

    rows: tuple[Row, ...]
    position: Effect
    tie: Effect
    covariates: dict[str, Effect]
    warnings: tuple[str, ...]
    settings: Settings
    clusters: dict[str, int]
    degrees_of_freedom: float
    votes: int
    iterations: int
    tolerance: float
    log_likelihood: float | None
    unit: float
    names: tuple[str, ...]
    strengths: Floats
    covariance: Floats
    model_covariance: Floats

    def difference(self, first: str, second: str) -> Difference | None:
        """How much `first` is rated above `second`; None where either has no rating."""
        a, b = self.names.index(first), self.names.index(second)
        spread = self.difference_se()[a, b]
        if not np.isfinite(spread):
            return None
        value = float(self.strengths[a] - self.strengths[b]) * self.unit
        half = quantile(self.degrees_of_freedom) * spread
        return Difference(value, float(spread), value - half, value + half, float(self.superiority()[a, b]))

    def difference_se(self) -> Floats:
        """(K, K) standard errors of all pairwise differences, on the ranking's scale; zero diagonal."""
        return np.asarray(np.sqrt(difference_variances(self.covariance)) * self.unit)

    def superiority(self) -> Floats:
        """(K, K) probability that the row's contestant is stronger than the column's; a half on the diagonal."""
        gap = (self.strengths[:, None] - self.strengths[None, :]) * self.unit
        spread = self.difference_se()
        np.fill_diagonal(spread, np.where(np.isnan(np.diag(spread)), np.nan, 1.0))
        t = np.divide(gap, spread, out=np.full_like(gap, np.nan), where=spread > 0)
        return np.asarray(scipy.special.stdtr(min(self.degrees_of_freedom, 1e9), t))

    def as_dict(self) -> dict[str, object]:
        """All but the arrays, as JSON values."""
        return {
            "ratings": [asdict(row) | {"floor_rate": row.floor_rate} for row in self.rows],
            "position": asdict(self.position),
            "tie": asdict(self.tie),
            "covariates": {name: asdict(effect) for name, effect in self.covariates.items()},
            "warnings": list(self.warnings),
            "settings": dict(self.settings),
            "clusters": dict(self.clusters),
            "votes": self.votes,
            "iterations": self.iterations,
            "tolerance": self.tolerance,
            "log_likelihood": self.log_likelihood,
        }
