"""One fit, frozen with all that is kept beside it."""

import logging
import time
import uuid

from django.db import transaction

from evalhub.problems import Refusal
from raters.models import Fit, FitState, Rating
from raters.ranking import METHOD, VERSION, Influence, MalformedVotes, RankingError, find_influence
from raters.services import evidence
from raters.services.computing import Computed, Tell, compute, inputs_of, options_of
from raters.services.margins import judge_margins
from raters.services.standing import judge_raters

log = logging.getLogger(__name__)

SEED = 0  # of the simulation behind the rank intervals; any will do, as long as it stays

# What a row of a ranking and a rating have in common.
ROW_FIELDS = (
    "rating",
    "se",
    "low",
    "high",
    "rank_low",
    "rank_high",
    "comparisons",
    "wins",
    "losses",
    "ties",
    "both_bad",
)


def freeze(fit: Fit, tell: Tell = lambda stage: None) -> Fit:
    """Do and save the fit, whose question and cut-off are set; where it cannot be done it says why.

    An official one brings the raters' standings and the verdicts on margins with it, all of it or nothing.
    """
    began = time.monotonic()
    fit.method, fit.version, fit.seed, fit.inputs = METHOD, VERSION, SEED, inputs_of(fit)
    try:
        computed = compute(fit, tell)
    except (RankingError, Refusal) as error:
        fit.state, fit.error, fit.stage = FitState.FAILED, str(error), ""
        fit.save()
        log.log(logging.INFO if isinstance(error, Refusal) else logging.ERROR, "%s was not ranked: %s", fit, error)
        return fit
    tell("Looking at who moves it")
    influence = _influence(fit, computed)
    _describe(fit, computed, influence)
    fit.state, fit.stage, fit.error = FitState.DONE, "", ""
    fit.seconds = time.monotonic() - began
    with transaction.atomic():
        fit.save()
        Rating.objects.bulk_create(ratings(fit, computed))
        if fit.is_official:
            # Only the newest chances are drawn by, and in a large study they are the largest part of a fit.
            superseded = Fit.objects.of(fit.study, fit.criterion, fit.slice).exclude(pk=fit.pk)
            superseded.exclude(pairing={}).update(pairing={})
            judge_raters(fit, computed, influence)
            judge_margins(fit, computed)
    return fit


def ratings(fit: Fit, computed: Computed) -> list[Rating]:
    """The fit's rows, not saved."""
    return [
        Rating(
            fit=fit,
            checkpoint_id=uuid.UUID(computed.ids[row.name]),
            interval=row.interval or "",
            **{field: getattr(row, field) for field in ROW_FIELDS},
        )
        for row in computed.ranking.rows
    ]


def _describe(fit: Fit, computed: Computed, influence: Influence | None) -> None:
    """Fill in all that the fit keeps beside its rows."""
    ranking, votes, contestants, voters = computed.ranking, computed.votes, computed.contestants, computed.voters
    kept = computed.kept
    fit.votes, fit.simulated_votes, fit.raters = len(kept), int(kept.simulated.sum()), len(voters)
    fit.position = {"value": ranking.position.value, "se": ranking.position.se}
    fit.covariates = {name: {"value": effect.value, "se": effect.se} for name, effect in ranking.covariates.items()}
    fit.warnings = list(computed.warnings)
    fit.settings = {**ranking.settings, "clusters": ranking.clusters, "tie": ranking.tie.value}
    fit.head_to_head = evidence.head_to_head(contestants, votes, ranking)
    fit.separations = evidence.separations(computed.ids, ranking)
    fit.agreement = evidence.agreement(kept, votes)
    fit.influence = evidence.influence(computed.ids, influence, ranking, voters) if influence else {}
    if fit.is_official:
        fit.pairing = evidence.pairing(contestants, votes, ranking)


def _influence(fit: Fit, computed: Computed) -> Influence | None:
    try:
        return find_influence(computed.votes, computed.names, model=options_of(fit)["model"])
    except MalformedVotes:
        return None  # nothing is ranked, so nobody moves it
