"""Votes as columns of integer codes: 10^8 votes fit in memory and are tallied in one pass."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import itemgetter
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raters.ranking.errors import MalformedVotes, UnknownContestant, UnknownOutcome

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

OUTCOMES = ("left", "right", "tie", "both_bad")
LEFT, RIGHT, TIE, BOTH_BAD = range(4)
HEAVIEST = 1e9  # weight of a vote; a heavier one would drown the phantom votes in rounding
BYTE = 256  # values that one takes


@dataclass(frozen=True, eq=False)
class Votes:
    """One row per vote; every column has shape (n,).

    Args:
        left, right: codes of the contestants shown on each side, 0 ≤ code < number of names.
        outcome: 0 left, 1 right, 2 tie, 3 both bad, in the order of `OUTCOMES`.
        rater, prompt: non-negative codes of who voted and on what, or None where unknown.
        weight: how much each vote counts (a rater's trust, an inverse propensity), or None for 1 each. The intervals'
            model part reads the sum as a number of votes.
        covariates: by name, the left side's value less the right side's (log pixels, seconds …), in any unit.
    Raises:
        MalformedVotes: lengths differ, a code or weight is negative, a weight is above 10⁹, or a contestant
            meets itself.
        UnknownOutcome: an outcome is not 0, 1, 2 or 3.
    """

    left: Codes
    right: Codes
    outcome: Codes
    rater: Codes | None = None
    prompt: Codes | None = None
    weight: Floats | None = field(default=None, kw_only=True)
    covariates: Mapping[str, Floats] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("left", "right", "outcome", "rater", "prompt"):
            column = getattr(self, name)
            if column is not None:
                object.__setattr__(self, name, _codes(name, column))
        if self.weight is not None:
            object.__setattr__(self, "weight", _numbers("weight", self.weight))
            if self.weight.max(initial=0) > HEAVIEST:
                raise MalformedVotes(
                    f"A vote's weight must be at most {HEAVIEST:,.0f}, got {self.weight.max():g}; divide all weights."
                )
        object.__setattr__(self, "covariates", {name: _numbers(name, c) for name, c in self.covariates.items()})
        self._check()

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def from_labels(
        cls,
        left: Sequence[Hashable],
        right: Sequence[Hashable],
        outcome: Sequence[str],
        *,
        rater: Sequence[Hashable] | None = None,
        prompt: Sequence[Hashable] | None = None,
        names: Sequence[str] | None = None,
    ) -> tuple[Self, tuple[str, ...]]:
        """Codes columns of labels; returns the votes and the names that their codes stand for.

        Args:
            names: all contestants, those without a vote included; by default the labels seen, sorted.
        Raises:
            UnknownOutcome: an outcome is not one of `OUTCOMES`.
            UnknownContestant: a label is not among `names`.
        """
        try:
            said = _code(outcome, {word: code for code, word in enumerate(OUTCOMES)})
        except KeyError:
            unknown = set(outcome) - set(OUTCOMES)
            raise UnknownOutcome(
                f"An outcome must be one of {', '.join(OUTCOMES)}, got {min(map(str, unknown))!r}; mend it."
            ) from None
        listed = tuple(sorted({str(label) for label in {*left, *right}})) if names is None else tuple(names)
        places: dict[Hashable, int] = {name: code for code, name in enumerate(listed)}
        try:
            sides = [_code(side, places) for side in (left, right)]
        except KeyError:  # a stranger, or labels that are no words
            seen = {*left, *right}
            if strangers := {str(label) for label in seen} - places.keys():
                raise UnknownContestant(
                    f"Every contestant voted on must be among the {len(listed)} names given, "
                    f"got {min(strangers)!r}; add it to the names or drop its votes."
                ) from None
            sides = [_code(side, {label: places[str(label)] for label in seen}) for side in (left, right)]
        return cls(
            left=sides[0],
            right=sides[1],
            outcome=said,
            rater=None if rater is None else _number(rater),
            prompt=None if prompt is None else _number(prompt),
        ), listed

    def only(self, rows: NDArray[np.bool_] | Codes) -> "Votes":
        """The votes of the given rows (a mask or positions)."""
        return Votes(
            left=self.left[rows],
            right=self.right[rows],
            outcome=self.outcome[rows],
            rater=None if self.rater is None else self.rater[rows],
            prompt=None if self.prompt is None else self.prompt[rows],
            weight=None if self.weight is None else self.weight[rows],
            covariates={name: column[rows] for name, column in self.covariates.items()},
        )

    def among(self, members: Codes, contestants: int) -> "Votes":
        """The votes between the members of K contestants, recoded 0 … len(members) − 1 in the order given."""
        if np.array_equal(members, np.arange(contestants)):
            return self
        place = np.full(contestants, -1, dtype=np.int64)
        place[members] = np.arange(len(members))
        kept = self.only((place[self.left] >= 0) & (place[self.right] >= 0))
        return replace(kept, left=place[kept.left], right=place[kept.right])

    def pair_counts(self, contestants: int) -> Codes:
        """How often each unordered pair was compared: symmetric (K, K), zero diagonal."""
        _check_contestants(self, contestants)
        ordered = np.bincount(self.left * contestants + self.right, minlength=contestants**2)
        square = ordered.reshape(contestants, contestants)
        return np.asarray(square + square.T, dtype=np.int64)

    def _columns(self) -> dict[str, Codes | Floats]:
        own = {name: getattr(self, name) for name in ("left", "right", "outcome", "rater", "prompt", "weight")}
        return {name: column for name, column in own.items() if column is not None} | dict(self.covariates)

    def _check(self) -> None:
        n = len(self.left)
        for name, column in self._columns().items():
            if len(column) != n:
                raise MalformedVotes(
                    f"Every column must have one entry per vote, got {n} in left and {len(column)} in {name}."
                )
            if name in ("left", "right", "rater", "prompt", "weight") and n and column.min() < 0:
                raise MalformedVotes(
                    f"The column {name} must not go below 0, got {column.min()} at position {int(column.argmin())}."
                )
        wrong = (self.outcome < 0) | (self.outcome >= len(OUTCOMES))
        if wrong.any():
            at = int(wrong.argmax())
            raise UnknownOutcome(
                f"An outcome code must be 0 to 3 ({', '.join(OUTCOMES)}), got {self.outcome[at]} at position {at}."
            )
        same = self.left == self.right
        if same.any():
            raise MalformedVotes(
                f"A comparison needs two different contestants, got the same one on both sides at position "
                f"{int(same.argmax())}; drop that vote."
            )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Votes counted by ordered pair.

    Args:
        first, second: (C,) contestant on the left and on the right, by rising code; each pair with a vote once.
        counts: (kinds, C) number, or weight, of the votes of each kind.
    """

    first: Codes
    second: Codes
    counts: Codes | Floats

    @classmethod
    def count(cls, votes: Votes, kind: Codes, kinds: int, contestants: int, weight: Floats | None = None) -> Self:
        """`kind` is one code 0 … kinds − 1 per vote."""
        pair = votes.left * contestants + votes.right
        squares = contestants**2
        if squares <= _roomy(len(votes)):
            counts = np.bincount(kind * squares + pair, weight, kinds * squares).reshape(kinds, squares)
            used = np.flatnonzero(counts.any(axis=0) if weight is None else np.bincount(pair, minlength=squares))
            counts = counts if len(used) == squares else counts[:, used]
        else:
            used, cell = np.unique(pair, return_inverse=True)
            counts = np.bincount(kind * len(used) + cell, weight, kinds * len(used)).reshape(kinds, len(used))
        first, second = np.divmod(used, max(contestants, 1))
        return cls(first, second, counts)

    @classmethod
    def of(cls, votes: Votes, contestants: int) -> Self:
        """By outcome, as in `OUTCOMES`.

        Raises: UnknownContestant: a code is not below `contestants`.
        """
        _check_contestants(votes, contestants)
        return cls.count(votes, votes.outcome, len(OUTCOMES), contestants)

    def cell(self, votes: Votes, contestants: int) -> Codes:
        """(n,) which pair each vote is on."""
        pair, own = votes.left * contestants + votes.right, self.first * contestants + self.second
        if contestants**2 > _roomy(len(votes)):
            return np.searchsorted(own, pair)
        place = np.zeros(contestants**2, dtype=np.int64)
        place[own] = np.arange(len(own))
        return np.asarray(place[pair])


@dataclass(frozen=True, eq=False)
class Tally:
    """(K,) counts of each contestant's outcomes."""

    wins: Codes
    losses: Codes
    ties: Codes
    both_bad: Codes

    @classmethod
    def of(cls, pairs: Pairs, contestants: int) -> Self:
        """`pairs` counted by outcome."""
        left, right = (
            np.array([np.bincount(side, row, contestants) for row in pairs.counts]).astype(np.int64)
            for side in (pairs.first, pairs.second)
        )
        return cls(
            wins=left[LEFT] + right[RIGHT],
            losses=left[RIGHT] + right[LEFT],
            ties=left[TIE] + right[TIE],
            both_bad=left[BOTH_BAD] + right[BOTH_BAD],
        )

    def only(self, contestants: Codes) -> "Tally":
        return Tally(*(getattr(self, count.name)[contestants] for count in fields(self)))

    @property
    def comparisons(self) -> Codes:
        return np.asarray(self.wins + self.losses + self.ties + self.both_bad, dtype=np.int64)


def _codes(name: str, column: ArrayLike) -> Codes:
    array = np.asarray(column)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise MalformedVotes(
            f"The column {name} must be one-dimensional integer codes, got {array.dtype} of shape {array.shape}; "
            "use Votes.from_labels for words."
        )
    return array.astype(np.int64, copy=False)


def _numbers(name: str, column: ArrayLike) -> Floats:
    array = np.asarray(column, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise MalformedVotes(f"The column {name} must be one-dimensional finite numbers, got {array}.")
    return array


def _check_contestants(votes: Votes, contestants: int) -> None:
    highest = max(int(side.max(initial=-1)) for side in (votes.left, votes.right))
    if highest >= contestants:
        raise UnknownContestant(
            f"Contestant codes must be below the number of names, {contestants}, got {highest}; name every contestant."
        )


def _roomy(votes: int) -> int:
    """How many pairs may be laid out in full, rather than only those that have votes."""
    return votes // 2 + 100_000


def _number(labels: Sequence[Hashable]) -> Codes:
    """(n,) the labels numbered in the order in which they come."""
    return _code(labels, {label: code for code, label in enumerate(dict.fromkeys(labels))})


def _code(labels: Sequence[Hashable], codes: Mapping[Hashable, int]) -> Codes:
    """(n,) the code of each label; KeyError where there is none."""
    # One call that looks up all labels takes less than a call for each.
    found = itemgetter(*labels)(codes) if len(labels) > 1 else [codes[label] for label in labels]
    if len(codes) <= BYTE:
        return np.frombuffer(bytes(found), dtype=np.uint8).astype(np.int64)
    return np.fromiter(found, dtype=np.int64, count=len(labels))
