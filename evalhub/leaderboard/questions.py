"""What the address of a leaderboard asks, and back: every state of its pages is a link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, QueryDict

from evalhub.leaderboard.tables import Leaderboard, leaderboard
from evalhub.studies.access import Actor, ratings_visible
from evalhub.studies.models import Criterion, Study
from raters.models import Fit, FitState
from raters.services.slices import KEYS, normalise_slice

POOLED = "*"  # no key of a criterion has it
WITHHELD = "This study publishes its ratings when it is closed; until then only its owners see them."


@dataclass(frozen=True)
class Question:
    """Which ranking is asked for, and how it is to be shown.

    Args:
        criteria: the study's, in its order.
        criterion: None for all of them pooled.
        slice: normalised; empty for all votes that the study counts.
        frozen: the fit that the address names, finished or not.
        fit: the finished fit that answers: the one named, or the newest; None while there is none.
        unfinished: the fit that is waited for, or the one that failed, where there is no other.
        withheld: whether the study keeps its ratings from this actor as yet.
    """

    study: Study
    criteria: tuple[Criterion, ...]
    criterion: Criterion | None
    slice: Mapping[str, Any]
    frozen: Fit | None
    fit: Fit | None
    unfinished: Fit | None
    withheld: bool
    sort: str = ""
    columns: tuple[str, ...] = ()

    @property
    def pooled(self) -> bool:
        return self.criterion is None

    @property
    def is_own(self) -> bool:
        """Whether it is the study's own ranking, that every batch of votes renews by itself."""
        return self.criterion is not None and not self.slice

    def board(self) -> Leaderboard:
        """The table that answers."""
        return leaderboard(
            study=self.study,
            criterion=self.criterion,
            fit=self.fit,
            sort=self.sort,
            columns=self.columns,
            rated=not self.withheld and (self.fit is not None or self.is_own),
        )

    def parameters(self) -> list[tuple[str, str]]:
        """Which ranking, as the address says it."""
        if self.frozen is not None:
            return [("fit", str(self.frozen.pk))]
        is_first = self.criterion == (self.criteria[0] if self.criteria else None)
        return self.asking()[is_first:]

    def asking(self) -> list[tuple[str, str]]:
        """The same as a question that can be asked anew: criterion and slice."""
        return [("criterion", self.criterion.key if self.criterion else POOLED), *slice_parameters(self.slice)]

    @property
    def query(self) -> str:
        """The same for a link, without its question mark."""
        return encoded(self.parameters())

    def column_parameters(self) -> list[tuple[str, str]]:
        """The columns chosen, as the address says it."""
        return [("columns", ",".join(self.columns))] if self.columns else []


def ask(actor: Actor, study: Study, parameters: QueryDict) -> Question:
    """What an address asks, with the fit that answers.

    Raises:
        Http404: the fit named is none of the study's.
        Refusal: the slice says something that cannot be.
    """
    withheld, criteria = not ratings_visible(actor, study), tuple(study.criteria.all())
    named = parameters.get("fit")
    frozen = None if named is None or withheld else _frozen_fit(study, str(named))
    if frozen is not None:
        criterion, slice = frozen.criterion, frozen.slice
    else:
        criterion, slice = _criterion(criteria, parameters.get("criterion", "")), read_slice(study, parameters)
    fit = unfinished = None
    if frozen is not None:
        fit, unfinished = (frozen, None) if frozen.state == FitState.DONE else (None, frozen)
    elif not withheld:
        fits = Fit.objects.of(study, criterion, slice)
        fit = fits.filter(state=FitState.DONE).first()
        newest = fits.exclude(state=FitState.DONE).first()
        is_news = newest is not None and (fit is None or newest.created_at > fit.created_at)
        unfinished = newest if is_news else None
    return Question(
        study=study,
        criteria=criteria,
        criterion=criterion,
        slice=slice,
        frozen=frozen,
        fit=fit,
        unfinished=unfinished,
        withheld=withheld,
        sort=parameters.get("sort", ""),
        columns=tuple(key for text in parameters.getlist("columns") for key in text.split(",") if key),
    )


def read_slice(study: Study, parameters: QueryDict) -> dict[str, Any]:
    """The slice that an address or a form describes, normalised; of a key given several times, all values."""
    asked = {key: ",".join(parameters.getlist(key)).strip() for key in KEYS if key in parameters}
    return normalise_slice(study, asked)


def slice_parameters(slice: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A slice as parameters of an address."""
    return [
        (key, ",".join(value) if isinstance(value, list) else str(value))
        for key in KEYS
        if (value := slice.get(key)) is not None
    ]


def encoded(parameters: list[tuple[str, str]]) -> str:
    """For an address; what may stand there as it is stays readable."""
    return urlencode(parameters, safe=":,*")


def _criterion(criteria: Sequence[Criterion], key: str) -> Criterion | None:
    """The one asked for; None for all pooled; the first for one that there is not."""
    if key == POOLED and len(criteria) > 1:
        return None
    return next((one for one in criteria if one.key == key), criteria[0] if criteria else None)


def _frozen_fit(study: Study, text: str) -> Fit:
    try:
        fit = Fit.objects.filter(study=study, pk=UUID(text)).first()
    except ValueError:
        fit = None
    if fit is None:
        raise Http404
    return fit
