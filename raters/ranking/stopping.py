"""When the order of two contestants is settled: a confidence sequence, which holds however often it is looked at.

An ordinary 95 % interval is right once; looked at after every 50 votes it will, sooner or later, exclude the truth.
These are wider by just so much that with 95 % confidence *none* of the looks excludes it.

Sources: Robbins 1970 (normal mixture); Howard, Ramdas, McAuliffe & Sekhon 2021 (its one-sided form); Waudby-Smith,
Arbour, Sinha, Kennedy & Ramdas 2024 (asymptotic sequences from estimates and their standard errors).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import scipy  # its parts take long to load, and load when they are used

from raters.ranking.errors import UnknownOption
from raters.ranking.intervals import LEVEL
from raters.ranking.likelihood import outcome_probabilities
from raters.ranking.ranking import ELO
from raters.ranking.result import Ranking

PLANNED_SE = 15.0  # Elo: standard error of a difference at which the sequence is tightest
MOST_VOTES = 10**9  # more than that is never


@dataclass(frozen=True)
class ConfidenceSequence:
    """A confidence sequence for one estimate with standard error s, its information 1 / s².

    Args:
        error: probability that any look excludes the truth.
        mixture: ρ, information that the mixture adds; fixed before the votes.
        one_sided: whether only one bound is used.
    """

    error: float
    mixture: float
    one_sided: bool = False

    @classmethod
    def tightest(cls, se: float, error: float, *, one_sided: bool = False) -> "ConfidenceSequence":
        """The one that is (within a few per cent) tightest when the standard error has come down to `se`."""
        log = -2 * np.log(min(2 * error if one_sided else error, 0.5))
        return cls(error, float(se**-2 / (log + np.log(log) + 1)), one_sided)

    def radius(self, se: float, degrees_of_freedom: float = np.inf) -> float:
        """Half the width of the interval, in the unit of `se`; with few clusters Student's t, equally likely."""
        if not se > 0:
            return 0.0
        information = se**-2
        grown = (information + self.mixture) / self.mixture
        if self.one_sided:
            bound = 2 * np.log(np.sqrt(grown) / (2 * self.error) + 1)
        else:
            bound = np.log(grown) - 2 * np.log(self.error)
        errors = float(np.sqrt((1 + self.mixture / information) * bound))
        if np.isfinite(degrees_of_freedom):
            errors = max(errors, float(-scipy.special.stdtrit(degrees_of_freedom, scipy.special.ndtr(-errors))))
        return errors * se

    def votes_needed(
        self, distance: float, se: float, per_vote: float, degrees_of_freedom: float = np.inf
    ) -> int | None:
        """About how many votes more bring the radius down to `distance`, if that stays; None if no number would.

        Args:
            per_vote: information that each adds.
        """
        information = se**-2

        def excess(log_votes: float) -> float:
            return self.radius(float(information + np.exp(log_votes) * per_vote) ** -0.5, degrees_of_freedom) - distance

        most = float(np.log(MOST_VOTES))
        if self.radius(se, degrees_of_freedom) <= distance:
            return 0
        if not distance > 0 or excess(most) > 0:
            return None
        return 1 if excess(0.0) <= 0 else int(np.ceil(np.exp(scipy.optimize.brentq(excess, 0.0, most))))


@dataclass(frozen=True)
class Separation:
    """Two neighbours in a ranking.

    Args:
        upper, lower: their names, the one rated higher first.
        difference, low, high: of their ratings, with the confidence sequence, on the ranking's scale.
        verdict: "separated" once low is above 0.
        votes_needed: about how many votes more between the two will separate them if the difference is as it seems;
            0 when separated, None when that cannot be said.
    """

    upper: str
    lower: str
    difference: float
    low: float
    high: float
    verdict: Literal["separated", "open"]
    votes_needed: int | None

    def sentence(self) -> str:
        """The verdict in words."""
        if self.verdict == "separated":
            return f"{self.upper} is above {self.lower}: separated."
        return f"{self.upper} and {self.lower} are not separated yet: {in_votes(self.votes_needed)}."


def find_separations(ranking: Ranking, *, planned_se: float = PLANNED_SE) -> tuple[Separation, ...]:
    """Each ranked contestant beside the next one below.

    With 95 % confidence no verdict on any pair, at any look, is wrong. Who is neighbour to whom is for the votes to
    say, so every pair of the ranking's names has its share of the error.

    Args:
        planned_se: the standard error of a difference, in Elo, at which verdicts are sharpest; the same at all looks.
    Raises:
        UnknownOption: `planned_se` is not above 0.
    """
    if not planned_se > 0:
        raise UnknownOption(f"The planned standard error must be above 0 Elo, got {planned_se}.")
    k = len(ranking.names)
    sequence = ConfidenceSequence.tightest(planned_se / ELO, (1 - LEVEL) / max(k * (k - 1) / 2, 1))
    order = [row.name for row in ranking.rows if row.ranked]
    return tuple(_separate(ranking, sequence, *pair) for pair in pairwise(order))


def _separate(ranking: Ranking, sequence: ConfidenceSequence, upper: str, lower: str) -> Separation:
    gap, se = log_difference(ranking, upper, lower)
    radius = sequence.radius(se, ranking.degrees_of_freedom)
    needed = sequence.votes_needed(gap, se, information_per_vote(ranking, upper, lower), ranking.degrees_of_freedom)
    return Separation(
        upper=upper,
        lower=lower,
        difference=gap * ranking.unit,
        low=(gap - radius) * ranking.unit,
        high=(gap + radius) * ranking.unit,
        verdict="separated" if gap > radius else "open",
        votes_needed=0 if gap > radius else needed,
    )


def log_difference(ranking: Ranking, first: str, second: str) -> tuple[float, float]:
    """Strength of `first` less that of `second` and its standard error, in natural-log units; nan where unrated."""
    a, b = ranking.names.index(first), ranking.names.index(second)
    return float(ranking.strengths[a] - ranking.strengths[b]), float(ranking.difference_se()[a, b] / ranking.unit)


def information_per_vote(ranking: Ranking, first: str, second: str) -> float:
    """What one more vote between the two adds to 1 / s² of their difference, votes being as alike as those so far."""
    a, b = ranking.names.index(first), ranking.names.index(second)
    gap, se = log_difference(ranking, first, second)
    left, right, _ = outcome_probabilities(np.array(gap), ranking.tie.value or 0.0)
    s = left - right
    own = ranking.model_covariance
    alone = own[a, a] + own[b, b] - 2 * own[a, b]
    return float((left + right - s * s) / 4 * min(alone / se**2, 1.0))


def in_votes(votes: int | None) -> str:
    """As in a sentence, to two digits."""
    if votes is None:
        return "no number of votes would settle it if they are as alike as they seem"
    rounded = int(float(f"{votes:.2g}"))
    return f"about {rounded:,} vote{'' if rounded == 1 else 's'} more between the two"
