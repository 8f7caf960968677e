"""From votes to a frozen ranking: the one verb, `rank`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raters.ranking.certainty import Certainty, find_certainty, usable_clusters
from raters.ranking.connections import connect_pairs
from raters.ranking.errors import MalformedVotes, UnknownContestant, UnknownOption
from raters.ranking.fit import TOLERANCE, Model, fit_votes
from raters.ranking.intervals import LEVEL, difference_variances, quantile, rank_intervals
from raters.ranking.notices import (
    anchor_notices,
    laplace_notice,
    position_notices,
    standing_notices,
    vote_notices,
)
from raters.ranking.result import Effect, Ranking, Row
from raters.ranking.threads import one_thread
from raters.ranking.votes import Codes, Floats, Pairs, Tally, Votes

METHOD = "davidson+position"  # what `rank` does by default
VERSION = "2"  # raised whenever the same votes and settings would give other numbers

Correction = Literal["none", "small"]
Scale = Literal["elo", "log"]

ELO = float(400 / np.log(10))
ORIGIN = 1500.0
CLUSTERS = ("rater", "prompt")


@one_thread
def rank(
    votes: Votes,
    names: Sequence[str],
    *,
    model: Model = "davidson",
    position: bool = True,
    phantom: float = 0.5,
    cluster: Sequence[str] = CLUSTERS,
    cluster_correction: Correction = "small",
    anchor: str | None = None,
    scale: Scale = "elo",
    seed: int = 0,
) -> Ranking:
    """Ranks contestants by votes, with intervals.

    Args:
        names: what the codes in `votes` stand for, in order; unique.
        model: "davidson" (ties have their own parameter) or "bradley-terry" (a tie is half a win each way). The two are
            on different scales: decisive odds against expected score.
        position: whether the left side may have an advantage.
        phantom: wins and as many losses against an imaginary opponent given to everyone; 0 is pure maximum likelihood.
        cluster: which of "rater" and "prompt" votes depend through; a column that the votes lack is passed over.
        cluster_correction: "small" multiplies by G/(G−1), uses Student's t, and lets a Laplace interval stand in
            where a contestant's votes are few; "none" is the plain sandwich.
        anchor: the contestant fixed at 1500 (0 on the log scale); by default the mean of the ranked is.
        seed: for the simulation behind the rank intervals.
    Raises:
        UnknownContestant, UnknownOption, MalformedVotes: see `raters.ranking.errors`.
    """
    names, small = tuple(names), cluster_correction == "small"
    _check_options(model, phantom, cluster, cluster_correction, scale)
    _check_names(votes, names, anchor)
    if votes.weight is not None:
        votes = votes.only(votes.weight > 0)
    pairs = Pairs.of(votes, len(names))
    tally, connections = Tally.of(pairs, len(names)), connect_pairs(pairs, names)
    members = np.flatnonzero(connections.linked if phantom else connections.ranked)
    within = votes.among(members, len(names))
    fitted = fit_votes(within, len(members), model=model, position=position, phantom=phantom)
    estimate = fitted.estimate
    rated = np.zeros(len(names), dtype=bool)
    rated[members] = estimate is not None
    ranked = connections.ranked & rated
    notices = [*vote_notices(votes), *fitted.notices, *standing_notices(names, ranked, rated, tally)]

    certainty = Certainty.none()
    if estimate is not None:
        columns = {kind: column for kind in cluster if (column := getattr(fitted.votes, kind)) is not None}
        clusters, thin = usable_clusters(columns, small)
        certainty = find_certainty(estimate, ranked[members], tally.only(members), clusters, small)
        notices += thin + laplace_notice([names[i] for i in members[certainty.laplace]])
    effects = dict(zip(fitted.effects, certainty.effects, strict=True))
    side = effects.pop("position", Effect())
    notices += position_notices(side)
    origin = names.index(anchor) if anchor is not None and rated[names.index(anchor)] else None
    if origin is None and rated.any():
        notices += anchor_notices(anchor)

    spread = _spread(certainty, members, len(names))
    unit, zero = (ELO, ORIGIN) if scale == "elo" else (1.0, 0.0)
    freedom = certainty.degrees_of_freedom
    return Ranking(
        rows=_rows(
            names=names,
            tally=tally,
            ranks=_ranks(names, spread, ranked, freedom, seed),
            ratings=_ratings(spread, origin) * unit + [[zero], [0]],
            half_widths=np.where(spread.laplace, quantile(np.inf), quantile(freedom)),
            laplace=spread.laplace,
        ),
        position=side.scaled(unit),
        tie=certainty.tie if model == "davidson" else Effect(),
        covariates={name: effect.scaled(unit) for name, effect in effects.items()},
        warnings=tuple(notices),
        settings={
            "method": METHOD,
            "version": VERSION,
            "model": model,
            "position": position,
            "phantom": phantom,
            "cluster": list(cluster),
            "cluster_correction": cluster_correction,
            "anchor": anchor,
            "scale": scale,
            "seed": seed,
            "level": LEVEL,
        },
        clusters=certainty.clusters,
        degrees_of_freedom=freedom,
        votes=len(votes),
        iterations=estimate.iterations if estimate else 0,
        tolerance=TOLERANCE,
        log_likelihood=estimate.log_likelihood if estimate else None,
        unit=unit,
        names=names,
        strengths=spread.strengths,
        covariance=spread.covariance,
        model_covariance=spread.model,
    )


def _spread(certainty: Certainty, members: Codes, k: int) -> Certainty:
    """The same for all K contestants: nan where there is no rating."""
    strengths, laplace = np.full(k, np.nan), np.zeros(k, dtype=bool)
    covariance, model = np.full((2, k, k), np.nan)
    if len(certainty.strengths):
        strengths[members], laplace[members] = certainty.strengths, certainty.laplace
        covariance[np.ix_(members, members)] = certainty.covariance
        model[np.ix_(members, members)] = certainty.model
    return replace(certainty, strengths=strengths, covariance=covariance, model=model, laplace=laplace)


def _ratings(spread: Certainty, origin: int | None) -> Floats:
    """(2, K) strengths and their standard errors, relative to the contestant at `origin` if any."""
    strengths, variances = spread.strengths, np.diag(spread.covariance)
    if origin is not None:
        strengths = strengths - strengths[origin]
        variances = difference_variances(spread.covariance)[origin]
    return np.stack([strengths, np.sqrt(np.maximum(variances, 0))])


def _ranks(names: Sequence[str], spread: Certainty, ranked: NDArray[np.bool_], freedom: float, seed: int) -> Codes:
    """(2, K) best and worst rank left open; 0 for the unranked.

    The simulation takes the ranked by name, so that it does not depend on the order of contestants.
    """
    ranks = np.zeros((2, len(names)), dtype=np.int64)
    order = sorted((name, i) for i, name in enumerate(names) if ranked[i])
    chosen = np.array([i for _, i in order], dtype=np.int64)
    if len(chosen):
        within = spread.covariance[np.ix_(chosen, chosen)]
        ranks[:, chosen] = rank_intervals(spread.strengths[chosen], within, freedom, seed)
    return ranks


def _rows(
    *,
    names: Sequence[str],
    tally: Tally,
    ranks: Codes,
    ratings: Floats,
    half_widths: Floats,
    laplace: NDArray[np.bool_],
) -> tuple[Row, ...]:
    rows = []
    for i, name in enumerate(names):
        rating, se = (float(number) for number in ratings[:, i])
        half = float(half_widths[i]) * se
        rated, ranked = bool(np.isfinite(rating)), bool(ranks[0, i])
        rows.append(
            Row(
                name=name,
                rating=rating if rated else None,
                se=se if rated else None,
                low=rating - half if rated else None,
                high=rating + half if rated else None,
                rank_low=int(ranks[0, i]) if ranked else None,
                rank_high=int(ranks[1, i]) if ranked else None,
                interval=("laplace" if laplace[i] else "sandwich") if rated else None,
                comparisons=int(tally.comparisons[i]),
                wins=int(tally.wins[i]),
                losses=int(tally.losses[i]),
                ties=int(tally.ties[i]),
                both_bad=int(tally.both_bad[i]),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.rating is None, -round(row.rating or 0.0, 6), row.name)))


def _check_options(model: str, phantom: float, cluster: Sequence[str], correction: str, scale: str) -> None:
    if isinstance(cluster, str) or len(set(cluster)) != len(cluster):
        raise UnknownOption(f"Clusters must be a list without repeats, got {cluster!r}.")
    for what, value, offered in (
        ("model", model, get_args(Model)),
        ("cluster correction", correction, get_args(Correction)),
        ("scale", scale, get_args(Scale)),
        *(("cluster", kind, CLUSTERS) for kind in cluster),
    ):
        if value not in offered:
            raise UnknownOption(f"The {what} must be one of {', '.join(offered)}, got {value!r}.")
    if not (np.isfinite(phantom) and phantom >= 0):
        raise UnknownOption(f"The phantom votes must be a number from 0 up, got {phantom}.")


def _check_names(votes: Votes, names: tuple[str, ...], anchor: str | None) -> None:
    if len(set(names)) != len(names):
        raise MalformedVotes("Contestants' names must be unique, but two of them are the same; tell them apart.")
    if "position" in votes.covariates:
        raise UnknownOption("A covariate must not be called position, which is the side's own effect; rename it.")
    if anchor is not None and anchor not in names:
        raise UnknownContestant(f"The anchor must be one of the contestants, got {anchor!r}.")
