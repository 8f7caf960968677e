"""A fit's ranking from its question: which votes, whose, weighed how. Nothing is written here."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Count, Q, QuerySet
from numpy.typing import NDArray

from evalhub.problems import Refusal
from evalhub.studies.models import Checkpoint, Sample, SubmissionState
from raters.models import Enrolment, EnrolmentState, Fit
from raters.ranking import Ranking, Votes, rank
from raters.services.counting import NO_CONTROL, Answers, read
from raters.services.slices import votes_of
from raters.services.weighing import weigh

Tell = Callable[[str], None]

# What of a fit's settings `rank` takes.
OPTIONS = ("model", "position", "phantom", "cluster", "cluster_correction", "anchor", "scale", "seed")


@dataclass(frozen=True, eq=False)
class Computed:
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
    def kept(self) -> Answers:
        """The answers that the ranking counts."""
        return self.answers.only(self.counted)

    @property
    def voters(self) -> tuple[uuid.UUID, ...]:
        """The raters by their codes in `votes`."""
        return self.kept.voters()

    @property
    def ids(self) -> dict[str, str]:
        """By the ranking's name of a contestant."""
        return {name: str(contestant) for name, contestant in zip(self.names, self.contestants, strict=True)}


def inputs_of(fit: Fit) -> dict[str, Any]:
    """`Fit.inputs` as they stand now."""
    registered = fit.study.checkpoints.registered()
    delivered = registered.filter(submission__state=SubmissionState.COMPLETE).order_by("name", "step")
    enrolments = Enrolment.objects.filter(study=fit.study).order_by("rater")
    left_out = Q(state=EnrolmentState.WITHDRAWN)  # whatever the slice: she has taken her consent back
    if fit.slice.get("excluded") != "counted":
        left_out |= Q(excluded_at__isnull=False)
    excluded = enrolments.filter(left_out)
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


def compute(fit: Fit, tell: Tell) -> Computed:
    """The fit's ranking, from the votes up to its cut-off, its slice, its inputs and its settings; writes nothing.

    Raises: RankingError for votes that cannot be ranked, Refusal for a slice without any.
    """
    contestants = tuple(uuid.UUID(checkpoint) for checkpoint, _ in fit.inputs["contestants"])
    names = tuple(name for _, name in fit.inputs["contestants"])
    tell("Reading the votes")
    answers = read(
        votes_of(fit),
        propensity=fit.slice.get("weighting") == "propensity",
        samples="covariates" in fit.slice or _has_seeds(fit),
    )
    known = np.array([contestant in contestants for contestant in answers.contestants], dtype=bool)
    if not known.all():  # the study's contestants were registered when others had votes already
        answers = answers.only(known[answers.left] & known[answers.right])
    counted = (answers.control == NO_CONTROL) & ~answers.by(fit.inputs["excluded"])
    if "group" in fit.inputs:
        counted &= answers.by(fit.inputs["group"])
    kept = answers.only(counted)
    if fit.slice and not len(kept):
        raise Refusal("No vote falls into this slice yet; choose a wider one.")
    tell(f"Ranking {len(kept):,} votes")
    votes, warnings = weigh(fit, kept, kept.votes(contestants), names)
    ranking = rank(votes, names, **options_of(fit))
    return Computed(contestants, names, answers, counted, votes, ranking, ranking.warnings + warnings)


def options_of(fit: Fit) -> dict[str, Any]:
    """What `rank` is asked for: as the fit was made, or before it is made, as its slice says."""
    if fit.settings:
        return {name: fit.settings[name] for name in OPTIONS}
    return {"seed": fit.seed, "model": fit.slice.get("model", "davidson")}


def _has_seeds(fit: Fit) -> bool:
    """Whether a contestant has several outputs for a prompt, so that only samples say what was shown."""
    outputs = Sample.objects.filter(checkpoint__study=fit.study).order_by().values("checkpoint", "prompt")
    return outputs.annotate(outputs=Count("id")).filter(outputs__gt=1).exists()
