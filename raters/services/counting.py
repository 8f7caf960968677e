"""Which votes a ranking counts, and what they say, as columns of small codes."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from django.db.models import Case, Expression, F, IntegerField, Value, When
from django.db.models.functions import Cast, Coalesce
from numpy.typing import NDArray

from raters.models import Control, VoteQuerySet
from raters.ranking import OUTCOMES, Votes
from raters.services.copying import BIGINT, BOOLEAN, DOUBLE, INTEGER, LABEL, UUID, Kind, copy

Integers = NDArray[np.int64]

CONTROLS = tuple(control.value for control in Control)
NO_CONTROL, REPEAT, GOLD = range(3)


@dataclass(frozen=True, eq=False)
class Answers:
    """Standing answers as columns of shape (n,), in the order of the votes' ids.

    Args:
        id, comparison: ids of each vote and its comparison.
        left, right: codes of `contestants`.
        outcome: as in `raters.ranking.OUTCOMES`.
        rater, prompt, criterion: codes of `raters`, of prompts, of criteria.
        simulated: whether the rater is no person.
        control: NO_CONTROL, REPEAT or GOLD.
        milliseconds: from both sides shown to the answer; -1 where unknown.
        contestants, raters: the ids that the codes stand for.
        propensity, left_sample, right_sample: of the comparison, where they were asked for.
    """

    id: Integers
    comparison: Integers
    left: Integers
    right: Integers
    outcome: Integers
    rater: Integers
    prompt: Integers
    criterion: Integers
    simulated: NDArray[np.bool_]
    control: Integers
    milliseconds: Integers
    contestants: tuple[uuid.UUID, ...]
    raters: tuple[uuid.UUID, ...]
    propensity: NDArray[np.float64] | None = None
    left_sample: Integers | None = None
    right_sample: Integers | None = None

    def __len__(self) -> int:
        return len(self.id)

    def only(self, rows: NDArray[np.bool_]) -> "Answers":
        """The answers of the rows; the codes go on standing for the same."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        kept: dict[str, Any] = {name: c[rows] for name, c in columns.items() if isinstance(c, np.ndarray)}
        return replace(self, **kept)

    def by(self, raters: Iterable[str]) -> NDArray[np.bool_]:
        """(n,) which answers are from any of the raters, who are given by their ids."""
        wanted = set(map(uuid.UUID, raters))
        return np.array([rater in wanted for rater in self.raters], dtype=bool)[self.rater]

    def votes(self, contestants: Sequence[uuid.UUID]) -> Votes:
        """For `raters.ranking`; its codes stand for the contestants in the order given, who are all that were voted on.

        Raters (see `voters`) and prompts are numbered in the order of their first vote among these, so that a ranking
        of the same votes comes out the same to the last digit, whatever else was read with them.
        """
        place = {contestant: at for at, contestant in enumerate(contestants)}
        codes = np.array([place.get(contestant, -1) for contestant in self.contestants], dtype=np.int64)
        return Votes(
            codes[self.left], codes[self.right], self.outcome, appearance(self.rater)[0], appearance(self.prompt)[0]
        )

    def voters(self) -> tuple[uuid.UUID, ...]:
        """The raters as `votes` numbers them."""
        return tuple(self.raters[code] for code in appearance(self.rater)[1].tolist())


def appearance(codes: Integers) -> tuple[Integers, Integers]:
    """The same groups numbered 0 … G−1 in the order of their first entry, and (G,) the code that each had."""
    present, first, where = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.empty_like(order)
    numbers[order] = np.arange(len(order))
    return numbers[where], present[order]


def read(votes: VoteQuerySet, *, propensity: bool = False, samples: bool = False) -> Answers:
    """The answers that the query finds.

    Args:
        propensity, samples: whether these are fetched from the comparisons too, at the price of a join.
    """
    wanted = dict(_COLUMNS)
    if propensity:
        wanted["propensity"] = (F("comparison__propensity"), DOUBLE)
    if samples:
        wanted["left_sample"] = (F("comparison__left_id"), BIGINT)
        wanted["right_sample"] = (F("comparison__right_id"), BIGINT)
    # An annotation may not be called as a field is.
    rows = votes.order_by().annotate(**{f"copied_{name}": value for name, (value, _) in wanted.items()})
    columns = copy(rows, {f"copied_{name}": kind for name, (_, kind) in wanted.items()})
    found = {name: columns.values[f"copied_{name}"] for name in wanted}
    left, right = (columns.labels[f"copied_{side}"] for side in ("left", "right"))
    contestants = tuple(dict.fromkeys(left + right))
    place = {contestant: at for at, contestant in enumerate(contestants)}
    for side, labels in (("left", left), ("right", right)):
        found[side] = np.array([place[label] for label in labels], dtype=np.int64)[found[side]]
    order = np.argsort(found["id"])  # quicker here than in the database, which would sort on disk
    found = {name: column[order] for name, column in found.items()}
    return Answers(**found, contestants=contestants, raters=columns.labels["copied_rater"])


def _coded(field: str, words: Sequence[str]) -> Expression:
    """The place of the column's word among the words."""
    cases = [When(**{field: word}, then=Value(code)) for code, word in enumerate(words)]
    return Cast(Case(*cases, default=Value(-1)), IntegerField())


_COLUMNS: dict[str, tuple[Any, Kind]] = {
    "id": (F("id"), BIGINT),
    "comparison": (F("comparison_id"), BIGINT),
    "left": (F("left_checkpoint_id"), UUID),
    "right": (F("right_checkpoint_id"), UUID),
    "outcome": (_coded("choice", OUTCOMES), INTEGER),
    "rater": (F("rater_id"), UUID),
    "prompt": (F("prompt_id"), LABEL),
    "criterion": (F("criterion_id"), LABEL),
    "simulated": (F("simulated"), BOOLEAN),
    "control": (_coded("control", CONTROLS), INTEGER),
    "milliseconds": (Cast(Coalesce("milliseconds", Value(-1)), IntegerField()), INTEGER),
}
