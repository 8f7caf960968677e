"""What a frozen fit keeps beside its ratings, so that no page has to read a vote again."""

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raters.ranking import (
    Influence,
    Ranking,
    Votes,
    find_separations,
    krippendorff_alpha,
    pair_probabilities,
    preferences,
)
from raters.ranking.votes import BOTH_BAD, LEFT, RIGHT, TIE
from raters.services.counting import Answers, appearance

SEED = 0
MOST_RATERS = 10  # of those who move the ratings most, as many are named


def pairing(contestants: Sequence[uuid.UUID], votes: Votes, ranking: Ranking) -> dict[str, Any]:
    """`Fit.pairing`; empty for fewer than two contestants."""
    if len(contestants) < 2:
        return {}
    probabilities = pair_probabilities(
        votes.pair_counts(len(contestants)),
        strengths=ranking.strengths,
        covariance=ranking.covariance,
        tie=ranking.tie.value or 0.0,
    )
    return {"checkpoints": _texts(contestants), "probabilities": probabilities.round(8).tolist()}


def head_to_head(contestants: Sequence[uuid.UUID], votes: Votes, ranking: Ranking) -> dict[str, Any]:
    """`Fit.head_to_head`."""
    k = len(contestants)
    shown = np.bincount((votes.outcome * k + votes.left) * k + votes.right, minlength=4 * k * k).reshape(4, k, k)
    either_way = shown + shown.transpose(0, 2, 1)
    superiority = ranking.superiority().round(6)
    return {
        "checkpoints": _texts(contestants),
        "wins": (shown[LEFT] + shown[RIGHT].T).tolist(),
        "ties": either_way[TIE].tolist(),
        "both_bad": either_way[BOTH_BAD].tolist(),
        "superiority": [[None if np.isnan(p) else p for p in row] for row in superiority.tolist()],
    }


def separations(ids: dict[str, str], ranking: Ranking) -> list[dict[str, Any]]:
    """`Fit.separations`.

    Args:
        ids: by the name that the ranking knows a contestant by.
    """
    return [
        {
            "upper": ids[pair.upper],
            "lower": ids[pair.lower],
            "separated": pair.verdict == "separated",
            "difference": pair.difference,
            "low": pair.low,
            "high": pair.high,
            "more_votes": pair.votes_needed,
            "sentence": pair.sentence(),
        }
        for pair in find_separations(ranking)
    ]


def agreement(answers: Answers, votes: Votes) -> dict[str, Any]:
    """`Fit.agreement`: whether raters who were asked the same about the same two outputs preferred the same one."""
    criterion, criteria = appearance(answers.criterion)
    _, unit = np.unique(_shown_pairs(answers, votes) * len(criteria) + criterion, return_inverse=True)
    # A pair has no first side of its own. Were it always the same contestant's, a field in which that one is better
    # everywhere would look as if raters agreed by habit; so which of two is the first is drawn for each pair.
    side = np.random.default_rng(SEED).choice([-1, 1], int(unit.max(initial=-1)) + 1)[unit]
    replicates = int(np.clip(2e7 // max(len(unit), 1), 100, 1000))  # all are drawn at once, so it is memory they take
    found = krippendorff_alpha(unit, side * preferences(votes), distance="ordinal", replicates=replicates)
    return {name: getattr(found, name) for name in ("alpha", "low", "high", "units", "values")}


def influence(ids: dict[str, str], found: Influence, ranking: Ranking, raters: Sequence[uuid.UUID]) -> dict[str, Any]:
    """`Fit.influence`.

    Args:
        ids: by the name that the ranking knows a contestant by.
        raters: by their codes in the votes.
    """
    return {
        "top": [ids[name] for name in found.top],
        "alarm": _alarm(found, ranking, raters),
        "raters": [
            {
                "rater": str(raters[group.group]),
                "votes": group.votes,
                "largest": group.largest,
                "moved": ids[group.moved],
                "top": [ids[name] for name in group.top],
                "changes_top": group.changes_top,
            }
            for group in found.groups[:MOST_RATERS]
        ],
    }


def _alarm(found: Influence, ranking: Ranking, raters: Sequence[uuid.UUID]) -> str:
    """One sentence about the rater on whom the top rests most: who decides who is first, or else turns round an order
    that the ranking is sure of. That one rater turns two round that nobody could tell apart is no news."""
    leading = [group for group in found.groups if group.top[:1] != found.top[:1]]
    sure = {row.name: (row.rank_low or 0, row.rank_high or 0) for row in ranking.rows}
    alarming = leading or [group for group in found.groups if contradicts(group.top, found.top, sure)]
    if not alarming:
        return ""
    group, others = alarming[0], len(alarming) - 1
    votes = f"{group.votes:,} vote{'' if group.votes == 1 else 's'}"
    instead = (
        f"{group.top[0]} would be first instead of {found.top[0]}"
        if leading
        else f"the best would be {_listed(group.top)} instead of {_listed(found.top)}"
    )
    more = f" {others} other rater{'' if others == 1 else 's'} would change that too." if others else ""
    return f"Without rater {str(raters[group.group])[:8]} ({votes}), {instead}.{more}"


def contradicts(without: Sequence[str], top: Sequence[str], ranks: dict[str, tuple[int, int]]) -> bool:
    """Whether the first place that has changed hands went to one who was surely below who had it.

    Args:
        ranks: best and worst rank that the ranking leaves open, by name.
    """
    changed = [(before, after) for before, after in zip(top, without, strict=False) if before != after]
    return bool(changed) and ranks[changed[0][0]][1] < ranks[changed[0][1]][0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def _shown_pairs(answers: Answers, votes: Votes) -> NDArray[np.int64]:
    """(n,) a number for each unordered pair of outputs: from the samples where known, else from the prompt and the
    contestants, each of which has then one output for it."""
    if answers.left_sample is not None and answers.right_sample is not None:
        one, other = answers.left_sample, answers.right_sample
        return np.minimum(one, other) * (max(int(one.max(initial=0)), int(other.max(initial=0))) + 1) + np.maximum(
            one, other
        )
    k = len(answers.contestants)
    prompt, _ = appearance(answers.prompt)
    return (prompt * k + np.minimum(votes.left, votes.right)) * k + np.maximum(votes.left, votes.right)


def _texts(contestants: Sequence[uuid.UUID]) -> list[str]:
    return [str(contestant) for contestant in contestants]
