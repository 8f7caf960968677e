"""How much each vote of a slice counts, and what else told its two sides apart."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from django.db.models import F, FloatField, IntegerField, Value
from django.db.models.functions import Cast, Coalesce
from numpy.typing import NDArray

from evalhub.studies.models import Sample
from raters.models import Fit
from raters.ranking import Votes, find_trust, propensity_weights
from raters.services.copying import BIGINT, DOUBLE, INTEGER, copy
from raters.services.counting import Answers

Floats = NDArray[np.float64]


def weigh(fit: Fit, answers: Answers, votes: Votes, names: Sequence[str]) -> tuple[Votes, tuple[str, ...]]:
    """The votes with the weights and covariates that the fit's slice asks for, and what has to be said of them.

    Args:
        answers: those that `votes` was made of, with propensity or samples where the slice needs them.
    """
    warnings: tuple[str, ...] = ()
    if fit.slice.get("covariates"):
        votes, warnings = _with_covariates(fit, answers, votes)
    weighting = fit.slice.get("weighting")
    if weighting == "trust":
        trust = find_trust(votes, names)
        return trust.weigh(votes), warnings + trust.warnings
    if weighting == "propensity":
        assert answers.propensity is not None
        weights = propensity_weights(answers.propensity)
        said = (
            f"Weighed as if all pairs had been drawn alike, these {len(votes):,} votes tell as much as "
            f"{weights.effective:,.0f} equal ones would"
            + (f"; {weights.clipped:,} weights above ten times the mean were cut." if weights.clipped else ".")
        )
        return weights.weigh(votes), (*warnings, said)
    return votes, warnings


def _with_covariates(fit: Fit, answers: Answers, votes: Votes) -> tuple[Votes, tuple[str, ...]]:
    differences, warnings = {}, []
    for name in fit.slice["covariates"]:
        left, right = _latencies(fit, votes) if name == "latency" else _of_samples(fit, name, answers)
        if np.isfinite(left).all() and np.isfinite(right).all():
            differences[name] = left - right
        else:
            warnings.append(f"The {name} of some outputs is not known, so it was left out as a covariate.")
    return replace(votes, covariates=differences), tuple(warnings)


def _latencies(fit: Fit, votes: Votes) -> tuple[Floats, Floats]:
    """(n,) the log of each side's seconds per output; nan where its submitter did not tell."""
    told = {str(pk): seconds for pk, seconds in fit.study.checkpoints.values_list("pk", "latency_p50")}
    seconds = np.array(
        [told.get(checkpoint) or np.nan for checkpoint, _ in fit.inputs["contestants"]], dtype=np.float64
    )
    logs = np.log(seconds)
    return logs[votes.left], logs[votes.right]


def _of_samples(fit: Fit, name: str, answers: Answers) -> tuple[Floats, Floats]:
    """(n,) each side's log pixels, log aspect ratio, or seconds of video; nan where its file has none."""
    assert answers.left_sample is not None
    assert answers.right_sample is not None
    samples = Sample.objects.filter(checkpoint__study=fit.study).order_by("id")
    columns = copy(
        samples.annotate(
            width=Cast(F("media__width"), IntegerField()),
            height=Cast(F("media__height"), IntegerField()),
            seconds=Cast(Coalesce("media__duration", Value(float("nan"))), FloatField()),
        ),
        {"id": BIGINT, "width": INTEGER, "height": INTEGER, "seconds": DOUBLE},
    ).values
    facts = {
        "resolution": np.log(columns["width"] * columns["height"]),
        "aspect": np.log(columns["width"] / columns["height"]),
        "duration": columns["seconds"],
    }[name]
    left, right = (np.searchsorted(columns["id"], side) for side in (answers.left_sample, answers.right_sample))
    return facts[left], facts[right]
