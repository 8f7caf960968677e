"""How far a metric agrees with people: Kendall's τ-b and Spearman's ρ over contestants, the share of single votes that
the metric foretells, and their intervals by drawing prompts again.

Everything is oriented: a higher value is the better one, so that +1 is full agreement.

Sources: Kendall 1945 (τ-b); Spearman 1904; Deutsch, Foster & Freitag 2023 for pairwise accuracy with equal values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raters.ranking.connections import connect
from raters.ranking.errors import MalformedVotes, UnknownOption
from raters.ranking.fit import Model, fit_votes
from raters.ranking.intervals import LEVEL
from raters.ranking.votes import LEFT, RIGHT, Codes, Floats, Votes

# With fewer contestants an order says next to nothing: of two, every metric is right or wrong.
LEAST_CONTESTANTS = 3
# An interval needs most of the draws; in the others all values were alike, or too few contestants were left.
LEAST_DRAWS = 0.5


@dataclass(frozen=True)
class Coefficient:
    """A statistic with its 95 % percentile interval; None where the data do not determine it."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Concordance:
    """Args:
    tau, rho: Kendall's τ-b and Spearman's ρ of ratings and metric.
    contestants: how many have both.
    """

    tau: Coefficient
    rho: Coefficient
    contestants: int


@dataclass(frozen=True)
class VoteAccuracy:
    """Args:
    share: of decisive votes whose winner has the better value; equal values count half.
    votes: decisive votes on two samples that both have a value.
    """

    share: Coefficient
    votes: int


def draw_prompts(prompts: int, replicates: int, seed: int = 0) -> Codes:
    """(replicates, prompts): how often each prompt is drawn when as many are drawn with replacement.

    Raises: UnknownOption: fewer than one prompt or two replicates.
    """
    if prompts < 1 or replicates < 2:
        raise UnknownOption(f"Drawing prompts takes at least 1 prompt and 2 draws, got {prompts} and {replicates}.")
    random = np.random.default_rng(seed)
    return np.asarray(random.multinomial(prompts, np.full(prompts, 1 / prompts), replicates), dtype=np.int64)


def redrawn_strengths(
    votes: Votes,
    names: Sequence[str],
    draws: Codes,
    *,
    model: Model = "davidson",
    position: bool = True,
    phantom: float = 0.5,
) -> Floats:
    """(replicates, K) natural-log strengths under each draw of prompts; nan where a draw cannot rate a contestant.

    Args:
        draws: (replicates, P) from `draw_prompts`; the votes' prompt codes are its columns.
    Raises:
        MalformedVotes: the votes lack prompts, or have a code beyond the draws.
    """
    if votes.prompt is None or votes.prompt.max(initial=-1) >= draws.shape[1]:
        raise MalformedVotes(f"Drawing prompts again needs every vote's prompt, a code below {draws.shape[1]}.")
    own = np.ones(len(votes)) if votes.weight is None else votes.weight
    strengths = np.full((len(draws), len(names)), np.nan)
    for replicate, drawn in enumerate(draws):
        times = drawn[votes.prompt] * own
        again = replace(votes, weight=times).only(times > 0)
        connections = connect(again, names)
        members = np.flatnonzero(connections.linked if phantom else connections.ranked)
        within = again.among(members, len(names))
        estimate = fit_votes(within, len(members), model=model, position=position, phantom=phantom).estimate
        if estimate is not None:
            strengths[replicate, members] = estimate.parameters[: len(members)]
    return strengths


def redrawn_means(sums: Floats, counts: Codes, draws: Codes) -> Floats:
    """(replicates, K) each contestant's mean value under each draw; nan where none of its prompts was drawn.

    Args:
        sums, counts: (P, K) sum of the contestant's values on each prompt, and how many there are.
    """
    total, drawn = draws @ sums, draws @ counts
    return np.asarray(np.divide(total, drawn, out=np.full(total.shape, np.nan), where=drawn > 0))


def find_concordance(
    strengths: Floats, values: Floats, redrawn_strengths: Floats, redrawn_values: Floats | None = None
) -> Concordance:
    """How far two orders of the same contestants agree.

    Args:
        strengths, values: (K,) from people and from the metric, higher is better; nan where there is none.
        redrawn_strengths: (replicates, K) under draws of prompts.
        redrawn_values: the same draws of the metric's value; None for a metric of the whole set, whose value stays.
    """
    both = np.isfinite(strengths) & np.isfinite(values)
    contestants = int(both.sum())
    if contestants < LEAST_CONTESTANTS:
        nothing = Coefficient(None, None, None)
        return Concordance(nothing, nothing, contestants)
    fixed = np.broadcast_to(values, redrawn_strengths.shape)
    again = np.where(both, redrawn_strengths, np.nan), fixed if redrawn_values is None else redrawn_values
    draws = [_shared(*pair) for pair in zip(*again, strict=True)]
    coefficients = [
        Coefficient(found(*_shared(strengths, values)), *_interval([found(*pair) for pair in draws]))
        for found in (kendall_tau_b, spearman)
    ]
    return Concordance(coefficients[0], coefficients[1], contestants)


def vote_accuracy(votes: Votes, left_value: Floats, right_value: Floats, draws: Codes) -> VoteAccuracy:
    """How often the metric would have voted like the rater, where she decided.

    Args:
        left_value, right_value: (n,) the metric's value of the two samples shown, higher is better; nan where none.
    Raises:
        MalformedVotes: the votes lack prompts, or lengths differ.
    """
    if votes.prompt is None or not len(votes) == len(left_value) == len(right_value):
        raise MalformedVotes(
            f"Accuracy needs every vote's prompt and two values per vote, got {len(votes)} votes, "
            f"{len(left_value)} and {len(right_value)} values."
        )
    counted = np.isin(votes.outcome, (LEFT, RIGHT)) & np.isfinite(left_value) & np.isfinite(right_value)
    if not counted.any():
        return VoteAccuracy(Coefficient(None, None, None), 0)
    for_left = np.where(votes.outcome == LEFT, 1, -1)[counted]
    hit = (1 + for_left * np.sign(left_value - right_value)[counted]) / 2
    prompts, width = votes.prompt[counted], draws.shape[1]
    hits = np.bincount(prompts, hit, width)
    decided = np.bincount(prompts, minlength=width)
    again = draws @ decided
    shares = np.divide(draws @ hits, again, out=np.full(len(draws), np.nan), where=again > 0)
    interval = _interval([None if np.isnan(share) else float(share) for share in shares])
    return VoteAccuracy(Coefficient(float(hit.mean()), *interval), int(counted.sum()))


def kendall_tau_b(first: Floats, second: Floats) -> float | None:
    """Concordant less discordant pairs over the geometric mean of the pairs that each does not tie; None if it is 0."""
    a, b = (np.sign(column[:, None] - column[None, :]) for column in (first, second))
    untied = float(np.count_nonzero(a)) * float(np.count_nonzero(b))
    return float((a * b).sum() / np.sqrt(untied)) if untied else None


def spearman(first: Floats, second: Floats) -> float | None:
    """Pearson's correlation of the ranks, ties sharing their mean rank; None where one side is constant."""
    a, b = (_ranks(column) - (len(column) + 1) / 2 for column in (first, second))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b / spread) if spread else None


def _ranks(column: Floats) -> Floats:
    _, place, count = np.unique(column, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], dtype=np.float64)


def _shared(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    both: NDArray[np.bool_] = np.isfinite(first) & np.isfinite(second)
    return first[both], second[both]


def _interval(found: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [value for value in found if value is not None]
    if len(known) < LEAST_DRAWS * len(found):
        return None, None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
