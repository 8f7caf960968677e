"""Comparisons whose answer is known, or was given before: how often each rater finds it."""

from dataclasses import dataclass

import numpy as np

from raters.ranking.errors import MalformedVotes, UnknownOutcome
from raters.ranking.intervals import quantile
from raters.ranking.votes import BOTH_BAD, LEFT, OUTCOMES, RIGHT, TIE, Codes


@dataclass(frozen=True)
class Share:
    """`hits` of `total`, with Wilson's 95 % interval from `low` to `high`."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.total

    @classmethod
    def of(cls, hits: int, total: int) -> "Share | None":
        """None of nothing."""
        if not total:
            return None
        z = quantile(np.inf)
        centre = (hits + z * z / 2) / (total + z * z)
        half = z / (total + z * z) * float(np.sqrt(hits * (total - hits) / total + z * z / 4))
        return cls(hits, total, max(centre - half, 0.0), min(centre + half, 1.0))


@dataclass(frozen=True, eq=False)
class Controls:
    """One row per control that was answered; every column has shape (m,).

    Args:
        rater: codes, the same as in `Votes.rater`.
        outcome, expected: the answer given and the one expected, coded as in `OUTCOMES`. Of a repeat, the answer
            expected is the first one, `swapped` if the sides were.
    Raises:
        MalformedVotes, UnknownOutcome: lengths differ, a code is negative, or an outcome is not 0, 1, 2 or 3.
    """

    rater: Codes
    outcome: Codes
    expected: Codes

    def __post_init__(self) -> None:
        columns = {name: np.asarray(getattr(self, name)) for name in ("rater", "outcome", "expected")}
        for name, column in columns.items():
            if column.shape != (len(columns["rater"]),) or (column.size and column.dtype.kind not in "iu"):
                raise MalformedVotes(
                    f"The column {name} of controls must be one integer code per control, got {column.dtype} "
                    f"of shape {column.shape}."
                )
            if column.min(initial=0) < 0 or (name != "rater" and column.max(initial=0) >= len(OUTCOMES)):
                raise UnknownOutcome(
                    f"The column {name} of controls must hold codes from 0{' up' if name == 'rater' else ' to 3'}, "
                    f"got {column.min()} to {column.max()}."
                )
            object.__setattr__(self, name, column.astype(np.int64, copy=False))

    def shares(self, raters: Codes) -> tuple[Share | None, ...]:
        """How often each of the raters (codes, sorted) answered as expected. As in the ranking, both bad is a tie."""
        at = np.searchsorted(raters, self.rater)
        right = _preference(self.outcome) == _preference(self.expected)
        total = np.bincount(at, minlength=len(raters))
        hits = np.bincount(at[right], minlength=len(raters))
        return tuple(Share.of(int(h), int(t)) for h, t in zip(hits, total, strict=True))


def swapped(outcome: Codes) -> Codes:
    """The same answers with left and right changed over."""
    return np.select([outcome == LEFT, outcome == RIGHT], [RIGHT, LEFT], outcome).astype(np.int64)


def _preference(outcome: Codes) -> Codes:
    return np.where(outcome == BOTH_BAD, TIE, outcome)
