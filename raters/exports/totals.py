"""How much a selection takes, said before anything is fetched."""

from dataclasses import dataclass, replace

from evalhub.studies.models import Study
from raters.exports.pairs import pairs
from raters.exports.selection import SPLITS, Selection


@dataclass(frozen=True)
class Totals:
    """Votes; pairs of each split, and how many of all are decided."""

    votes: int
    pairs: dict[str, int]
    decided: int

    @property
    def all_pairs(self) -> int:
        return sum(self.pairs.values())


def totals(study: Study, selection: Selection) -> Totals:
    counts, decided = dict.fromkeys(SPLITS, 0), 0
    for pair in pairs(study, replace(selection, split="")):
        counts[pair.split] += 1
        decided += pair.label != 0.5
    return Totals(selection.votes(study).count(), counts, decided)
