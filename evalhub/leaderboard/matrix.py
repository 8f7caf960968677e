"""Every contestant against every other, as the fit froze it: no vote is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalhub.leaderboard.tables import Leaderboard
from evalhub.studies.models import Checkpoint

# A larger field shows its best; the download has all.
MOST_CONTESTANTS = 40


@dataclass(frozen=True)
class Pair:
    """One contestant against another.

    Args:
        share: of the comparisons between them, wins and half of the ties (both bad among them); None before the first.
        better: the probability that the first is the better one; None where the votes cannot tell.
    """

    wins: int
    losses: int
    ties: int
    both_bad: int
    better: float | None

    @property
    def n(self) -> int:
        return self.wins + self.losses + self.ties + self.both_bad

    @property
    def share(self) -> float | None:
        return (self.wins + (self.ties + self.both_bad) / 2) / self.n if self.n else None


@dataclass(frozen=True)
class Matrix:
    """Contestants from the best down, and their pairs; a contestant has none with itself."""

    contestants: tuple[Checkpoint, ...]
    pairs: tuple[tuple[Pair | None, ...], ...]

    @property
    def lines(self) -> list[tuple[Checkpoint, tuple[Pair | None, ...]]]:
        """Each contestant with its row."""
        return list(zip(self.contestants, self.pairs, strict=True))

    def first(self, count: int) -> "Matrix":
        """The best ones alone."""
        return Matrix(self.contestants[:count], tuple(row[:count] for row in self.pairs[:count]))


def head_to_head(board: Leaderboard) -> Matrix | None:
    """The matrix of a leaderboard's fit, in the order of the ratings; None where the fit has none."""
    found: Mapping[str, Any] = board.fit.head_to_head if board.fit else {}
    places = {checkpoint: place for place, checkpoint in enumerate(found.get("checkpoints", []))}
    rated = board.rated
    others = [row for row in board.rows if row not in rated]
    listed = [row.checkpoint for row in [*rated, *others] if str(row.checkpoint.pk) in places]
    if len(listed) < 2:
        return None
    order = [places[str(checkpoint.pk)] for checkpoint in listed]
    return Matrix(
        tuple(listed),
        tuple(tuple(_pair(found, row, column) for column in order) for row in order),
    )


def _pair(found: Mapping[str, Sequence[Sequence[Any]]], row: int, column: int) -> Pair | None:
    if row == column:
        return None
    return Pair(
        wins=found["wins"][row][column],
        losses=found["wins"][column][row],
        ties=found["ties"][row][column],
        both_bad=found["both_bad"][row][column],
        better=found["superiority"][row][column],
    )
