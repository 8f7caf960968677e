"""One fit, from its question to its frozen rows."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count, QuerySet
from numpy.typing import NDArray

from evalhub.problems import Refusal
from evalhub.studies.models import Checkpoint, Sample, SubmissionState
from raters.models import Enrolment, Fit, FitState, Rating
from raters.ranking import METHOD, VERSION, MalformedVotes, Ranking, RankingError, Votes, find_influence, rank
from raters.services import evidence
from raters.services.counting import NO_CONTROL, Answers, read
from raters.services.slices import votes_of

log = logging.getLogger(__name__)

SEED = 0  # of the simulation behind the rank intervals; any will do, as long as it stays

Tell = Callable[[str], None]

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
# What of a fit's settings `rank` takes.
OPTIONS = ("model", "position", "phantom", "cluster", "cluster_correction", "anchor", "scale", "seed")


@dataclass(frozen=True, eq=False)
class Frozen:
    """Args:
    contestants: ids, in the order of the ranking's names.
    answers: all that were read, those of excluded raters and controls among them.
    counted: (n,) which of them the ranking counts.
    votes: what these say, weighed.
    warnings: the ranking's, and of what came before it.
    """

    contestants: tuple[uuid.UUID, ...]
    names: tuple[str, ...]
    answers: Answers
    counted: NDArray[np.bool_]
    votes: Votes
    ranking: Ranking
    warnings: tuple[str, ...]

    @property
    def ids(self) -> dict[str, str]:
        """By the ranking's name of a contestant."""
        return {name: str(contestant) for name, contestant in zip(self.names, self.contestants, strict=True)}


def inputs_of(fit: Fit) -> dict[str, Any]:
    """`Fit.inputs` as they stand now."""
    delivered = fit.study.checkpoints.filter(submission__state=SubmissionState.COMPLETE).order_by("name", "step")
    enrolments = Enrolment.objects.filter(study=fit.study).order_by("rater")
    excluded = enrolments.exclude(excluded_at=None) if fit.slice.get("excluded") != "counted" else enrolments.none()
    inputs: dict[str, Any] = {
        "contestants": [[str(checkpoint.pk), contestant_name(checkpoint)] for checkpoint in delivered],
        "excluded": _texts(excluded),
    }
    if "group" in fit.slice:
        inputs["group"] = _texts(enrolments.filter(group=fit.slice["group"]))
    return inputs


def _texts(enrolments: "QuerySet[Enrolment]") -> list[str]:
    return [str(rater) for rater in enrolments.values_list("rater", flat=True)]


def contestant_name(checkpoint: Checkpoint) -> str:
    """What the ranking's sentences call it. A name may end like another's step, so a step is spelt out."""
    return checkpoint.name if checkpoint.step is None else f"{checkpoint.name} (step {checkpoint.step:,})"


def compute(fit: Fit, tell: Tell) -> Frozen:
    """The fit's ranking, from the votes up to its cut-off, its slice, its inputs and its settings; writes nothing.

    Raises: RankingError for votes that cannot be ranked, Refusal for a slice without any.
    """
    contestants = tuple(uuid.UUID(checkpoint) for checkpoint, _ in fit.inputs["contestants"])
    names = tuple(name for _, name in fit.inputs["contestants"])
    tell("Reading the votes")
    answers = read(votes_of(fit), samples=_has_seeds(fit))
    counted = (answers.control == NO_CONTROL) & ~answers.by(fit.inputs["excluded"])
    if "group" in fit.inputs:
        counted &= answers.by(fit.inputs["group"])
    kept = answers.only(counted)
    if fit.slice and not len(kept):
        raise Refusal("No vote falls into this slice yet; choose a wider one.")
    tell(f"Ranking {len(kept):,} votes")
    votes = kept.votes(contestants)
    options = {name: fit.settings[name] for name in OPTIONS if name in fit.settings}
    ranking = rank(votes, names, **{"seed": fit.seed, **options})
    return Frozen(contestants, names, answers, counted, votes, ranking, ranking.warnings)


def freeze(fit: Fit, tell: Tell = lambda stage: None) -> Frozen | None:
    """Do and save the fit, whose question and cut-off are set; None, with the reason in it, where it cannot be done."""
    began = time.monotonic()
    fit.method, fit.version, fit.seed, fit.inputs = METHOD, VERSION, SEED, inputs_of(fit)
    try:
        frozen = compute(fit, tell)
    except (RankingError, Refusal) as error:
        fit.state, fit.error, fit.stage = FitState.FAILED, str(error), ""
        fit.save()
        log.log(logging.INFO if isinstance(error, Refusal) else logging.ERROR, "%s was not ranked: %s", fit, error)
        return None
    tell("Weighing the evidence")
    _describe(fit, frozen)
    fit.state, fit.stage, fit.error = FitState.DONE, "", ""
    fit.seconds = time.monotonic() - began
    with transaction.atomic():
        fit.save()
        Rating.objects.bulk_create(ratings(fit, frozen))
    return frozen


def ratings(fit: Fit, frozen: Frozen) -> list[Rating]:
    """The fit's rows, not saved."""
    return [
        Rating(
            fit=fit,
            checkpoint_id=uuid.UUID(frozen.ids[row.name]),
            interval=row.interval or "",
            **{field: getattr(row, field) for field in ROW_FIELDS},
        )
        for row in frozen.ranking.rows
    ]


def _describe(fit: Fit, frozen: Frozen) -> None:
    """Fill in all that the fit keeps beside its rows."""
    ranking, votes, contestants = frozen.ranking, frozen.votes, frozen.contestants
    kept = frozen.answers.only(frozen.counted)
    voters = kept.voters()
    fit.votes, fit.simulated_votes, fit.raters = len(kept), int(kept.simulated.sum()), len(voters)
    fit.position = {"value": ranking.position.value, "se": ranking.position.se}
    fit.covariates = {name: {"value": effect.value, "se": effect.se} for name, effect in ranking.covariates.items()}
    fit.warnings = list(frozen.warnings)
    fit.settings = {**ranking.settings, "clusters": ranking.clusters, "tie": ranking.tie.value}
    fit.head_to_head = evidence.head_to_head(contestants, votes, ranking)
    fit.separations = evidence.separations(frozen.ids, ranking)
    fit.agreement = evidence.agreement(kept, votes)
    fit.influence = _influence(frozen, voters)
    if fit.is_official:
        fit.pairing = evidence.pairing(contestants, votes, ranking)


def _influence(frozen: Frozen, voters: tuple[uuid.UUID, ...]) -> dict[str, Any]:
    try:
        found = find_influence(frozen.votes, frozen.names)
    except MalformedVotes:
        return {}  # nothing is ranked, so nobody moves it
    return evidence.influence(frozen.ids, found, voters)


def _has_seeds(fit: Fit) -> bool:
    """Whether a contestant has several outputs for a prompt, so that only samples say what was shown."""
    outputs = Sample.objects.filter(checkpoint__study=fit.study).order_by().values("checkpoint", "prompt")
    return outputs.annotate(outputs=Count("id")).filter(outputs__gt=1).exists()
