"""The warnings of a ranking: full sentences saying what was found and what to do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raters.ranking.result import Effect
from raters.ranking.votes import RIGHT, Tally, Votes

FEW_CLUSTERS = 10
SHOWN_NAMES = 5
SIDE_BIAS = 3  # standard errors


def vote_notices(votes: Votes) -> list[str]:
    """What the votes as a whole cannot say."""
    if not len(votes):
        return ["There are no votes yet, so nobody is ranked; collect comparisons first."]
    if (votes.outcome > RIGHT).all():
        return ["Every vote is a tie or both bad, so the votes show no difference; ask a question that separates more."]
    return []


def standing_notices(
    names: Sequence[str], ranked: NDArray[np.bool_], rated: NDArray[np.bool_], tally: Tally
) -> list[str]:
    """Why some contestants have no rank; `ranked` and `rated` are (K,)."""
    played = tally.comparisons > 0
    level = tally.ties + tally.both_bad
    unbeaten, winless = played & (tally.losses + level == 0), played & (tally.wins + level == 0)
    provisional = "so no rank is given and the rating is provisional; more comparisons will settle it."
    groups = (
        (~played, "no vote yet, so no rank or rating is given; collect comparisons with the others."),
        (unbeaten & rated, f"only wins so far, {provisional}"),
        (winless & rated, f"only losses so far, {provisional}"),
        (
            played & rated & ~unbeaten & ~winless,
            f"wins over the ranked, or losses to them, but not both, {provisional}",
        ),
        (
            played & ~rated,
            "no finite rating that could be compared with the others', so no rank or rating is given; "
            "collect comparisons across the groups.",
        ),
    )
    found = [([n for n, chosen in zip(names, mask & ~ranked, strict=True) if chosen], text) for mask, text in groups]
    return [f"{listed(members)} {'has' if len(members) == 1 else 'have'} {text}" for members, text in found if members]


def cluster_notice(kind: str, count: int, least: int) -> str | None:
    """What too few raters or prompts mean for the intervals."""
    if not 0 < count < FEW_CLUSTERS:
        return None
    involved = f"{count} {kind}{'s were' if count > 1 else ' was'} involved"
    if count < least:
        return (
            f"Only {involved}, so the intervals cannot allow for differences between {kind}s; "
            f"have at least {least}, better {FEW_CLUSTERS}."
        )
    return f"Only {involved}, so the intervals are wide; more {kind}s narrow them faster than more votes."


def laplace_notice(names: Sequence[str]) -> list[str]:
    """Whose interval comes from the model instead of the sandwich."""
    if not names:
        return []
    has = "has" if len(names) == 1 else "have"
    return [f"{listed(names)} {has} few or one-sided votes, so the interval shown is model-based (Laplace)."]


def position_notices(position: Effect) -> list[str]:
    """Says so when the side shown moved the votes; `position` in natural-log units."""
    if position.value is None or not position.se or abs(position.value) <= SIDE_BIAS * position.se:
        return []
    side, size = "left" if position.value > 0 else "right", 400 / np.log(10) * abs(position.value)
    return [f"Raters favoured the {side} side by {size:.0f} Elo; the ratings are corrected for it."]


def anchor_notices(anchor: str | None) -> list[str]:
    """Says that the anchor named has no rating to hold on to."""
    if anchor is None:
        return []
    return [f"The anchor {anchor} has no comparable rating yet, so ratings are centred on their mean instead."]


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence, shortened after five."""
    shown = list(names[:SHOWN_NAMES])
    if len(names) > SHOWN_NAMES:
        shown.append(f"{len(names) - SHOWN_NAMES} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
