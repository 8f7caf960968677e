"""Slices: which of a study's votes a ranking counts, and how. {} is the study's own ranking."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Func

from evalhub.problems import Refusal
from evalhub.studies.models import Prompt, Study
from raters.models import Enrolment, Fit, Vote, VoteQuerySet

COVARIATES = ("aspect", "duration", "latency", "resolution")

# The words that a key takes. What every ranking does anyway is not written into a slice.
_WORDS = {
    "raters": ("people", "simulated"),
    "excluded": ("counted",),
    "weighting": ("trust", "propensity"),
    "model": ("bradley-terry",),
}
_USUAL = [("model", "davidson")]
KEYS = ("tag", "raters", "group", "since", "until", "excluded", "weighting", "model", "covariates")


def normalise_slice(study: Study, slice: Mapping[str, Any]) -> dict[str, Any]:
    """The slice as it is stored: checked, without what is empty or usual, in one form for all who mean the same.

    Args:
        slice: `tag`, `raters` (people or simulated), `group`, `since` and `until` (dates, inclusive, UTC), `excluded`
            (counted), `weighting` (trust or propensity), `model` (bradley-terry), `covariates` (a list, or a text with
            commas).
    Raises: Refusal for another key or a value that it does not take.
    """
    strange = sorted(set(slice) - set(KEYS))
    if strange:
        raise Refusal(f"A slice has no part “{strange[0]}”; expected {', '.join(KEYS[:-1])} or {KEYS[-1]}.")
    given = {key: slice[key] for key in KEYS if slice.get(key) not in (None, "", [], ())}
    found = {key: _CHECKS[key](study, key, value) for key, value in given.items() if (key, value) not in _USUAL}
    if found.get("since", "") > found.get("until", "9999"):
        raise Refusal(f"The slice ends on {found['until']}, before it begins on {found['since']}; change one of them.")
    return found


def slice_title(slice: Mapping[str, Any]) -> str:
    """What a slice takes, in words for a heading; empty for the study's own ranking."""
    return "; ".join(part for key in KEYS if key in slice for part in [_TITLES[key](slice[key])])


def votes_of(fit: Fit) -> VoteQuerySet:
    """The standing answers up to the fit's cut-off that its slice takes; raters and controls are still to be told
    apart."""
    slice, votes = fit.slice, Vote.objects.filter(study=fit.study)
    if fit.criterion is not None:
        votes = votes.filter(criterion=fit.criterion)
    if "tag" in slice:
        votes = votes.filter(prompt__in=Prompt.objects.filter(study=fit.study, tags__contains=[slice["tag"]]))
    if "raters" in slice:
        votes = votes.filter(simulated=slice["raters"] == "simulated")
    if "since" in slice:
        votes = votes.filter(created_at__gte=_midnight(slice["since"]))
    if "until" in slice:
        votes = votes.filter(created_at__lt=_midnight(slice["until"]) + timedelta(days=1))
    return votes.latest_revisions(up_to=fit.cut_off)


def tags_of(study: Study) -> list[str]:
    """Every tag of the study's prompts, in order."""
    return sorted(study.prompts.order_by().values_list(Func("tags", function="unnest"), flat=True).distinct())


def groups_of(study: Study) -> list[str]:
    """Every group that raters of the study are in, in order."""
    groups = Enrolment.objects.filter(study=study).exclude(group="").order_by("group")
    return list(groups.values_list("group", flat=True).distinct())


def _one_of(what: str, value: Any, offered: Iterable[str]) -> str:
    known = list(offered)
    if not isinstance(value, str) or value not in known:
        listed = ", ".join(known[:20]) + (" …" if len(known) > 20 else "")
        raise Refusal(f"A slice's {what} is one of {listed}; got “{value}”." if known else f"The study has no {what}.")
    return value


def _word(study: Study, key: str, value: Any) -> str:
    return _one_of(key, value, _WORDS[key])


def _day(study: Study, key: str, value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as error:
        raise Refusal(f"A slice's “{key}” is a date such as 2026-05-31; got “{value}”.") from error


def _covariates(study: Study, key: str, value: Any) -> list[str]:
    names: Sequence[Any] = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    names = [name.strip() if isinstance(name, str) else name for name in names]
    return sorted({_one_of("covariate", name, COVARIATES) for name in names})


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


_CHECKS: dict[str, Callable[[Study, str, Any], Any]] = {
    "tag": lambda study, key, value: _one_of("tag", value, tags_of(study)),
    "group": lambda study, key, value: _one_of("group", value, groups_of(study)),
    "since": _day,
    "until": _day,
    "covariates": _covariates,
    **dict.fromkeys(_WORDS, _word),
}

_TITLES: dict[str, Callable[[Any], str]] = {
    "tag": lambda tag: f"prompts tagged “{tag}”",
    "raters": lambda kind: "people only" if kind == "people" else "simulated raters only",
    "group": lambda group: f"raters of group “{group}”",
    "since": lambda day: f"votes from {day}",
    "until": lambda day: f"votes to {day}",
    "excluded": lambda _: "excluded raters counted too",
    "weighting": lambda by: (
        "weighed by trust in each rater" if by == "trust" else "weighed as if all pairs were drawn alike"
    ),
    "model": lambda _: "Bradley–Terry model",
    "covariates": lambda names: f"allowing for {', '.join(names)}",
}
