"""Fits that somebody asked for: a row that waits, a worker that takes it up, and a sweep for what was left lying."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict
from evalhub.studies.models import Criterion, LogEntry, Study, User
from raters import locks
from raters.models import Fit, FitState, Vote, slice_digest
from raters.services.computing import inputs_of
from raters.services.cut_off import safe_cut_off
from raters.services.freezing import freeze
from raters.services.slices import normalise_slice

MOST_WAITING = 20  # of one study at once
MOST_ATTEMPTS = 3
UNTIL_TRIED_AGAIN = timedelta(minutes=10)
UNTIL_SWEPT = timedelta(seconds=20)  # what waits longer may have lost its ring


def ask_for_fit(
    *,
    study: Study,
    criterion: Criterion | None = None,
    slice: Mapping[str, Any] | None = None,
    actor: User | None = None,
) -> Fit:
    """The newest fit of the question if nothing has changed since, else one that waits for a worker or is under way.

    Args:
        criterion: None for all of the study's pooled.
        slice: as people write it; see `normalise_slice`.
    Raises: Refusal for a slice that is none, Conflict while too many others wait.
    """
    wanted = normalise_slice(study, slice or {})
    fits = Fit.objects.of(study, criterion, wanted)
    newest = fits.first()
    if newest is not None and (newest.is_unfinished or _still_holds(newest)):
        return newest
    if Fit.objects.filter(study=study).unfinished().count() >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} rankings of this study are being made already; ask again in a minute.")
    fit = Fit(study=study, criterion=criterion, slice=wanted, slice_digest=slice_digest(wanted), state=FitState.WAITING)
    try:
        with transaction.atomic():
            fit.save()
            asked = criterion.name if criterion else "all questions"
            LogEntry.write(study=study, actor=actor, verb="asked for ranking", subject=asked, slice=wanted)
    except IntegrityError:  # somebody else asked at the same moment
        return fits.latest("created_at")
    enqueue("raters.fit_slice", str(fit.pk))
    return fit


def fit_slice(*, fit: Fit) -> None:
    """Do a fit that was asked for. It may be called any number of times and by many at once: it is done once.

    A worker that dies leaves it running; the sweep rings again, and after some attempts it fails with a sentence.
    """
    with locks.only_one(fit.study, _work(fit)) as alone:
        if not alone:
            return
        fit.refresh_from_db()
        if not fit.is_unfinished:
            return
        if fit.attempts >= MOST_ATTEMPTS:
            _give_up(fit)
            return
        fit.attempts, fit.state, fit.stage = fit.attempts + 1, FitState.RUNNING, "Waiting for votes under way"
        fit.save()
        fit.cut_off = safe_cut_off(fit.study)
        freeze(fit, lambda stage: _tell(fit, stage))


def fits_to_resume() -> list[Fit]:
    """Fits asked for that nobody is at: the ring was lost, or the worker died."""
    old = Fit.objects.unfinished().filter(created_at__lte=timezone.now() - UNTIL_SWEPT).select_related("study")
    left = []
    for fit in old:
        with locks.only_one(fit.study, _work(fit)) as alone:
            if alone:
                left.append(fit)
    return left


def _work(fit: Fit) -> str:
    """What only one connection may do at a time: this fit, or any official one, since each replaces the standings."""
    return "fit" if fit.is_official else f"fit {fit.pk}"


def _still_holds(fit: Fit) -> bool:
    """Whether fitting again would give the same: no vote came since, and who competes and counts is as it was."""
    if fit.state == FitState.FAILED and fit.attempts >= MOST_ATTEMPTS:
        return fit.created_at > timezone.now() - UNTIL_TRIED_AGAIN
    criteria = fit.study.criteria.all() if fit.criterion is None else [fit.criterion]
    newer = Vote.objects.filter(study=fit.study, criterion__in=criteria, id__gt=fit.cut_off)
    return fit.inputs == inputs_of(fit) and not newer.exists()


def _give_up(fit: Fit) -> None:
    fit.state, fit.stage = FitState.FAILED, ""
    fit.error = (
        f"This ranking was begun {fit.attempts} times and never came to an end, as if its worker had been killed or "
        "had run out of memory; ask again in ten minutes, or tell whoever runs this site."
    )
    fit.save()


def _tell(fit: Fit, stage: str) -> None:
    Fit.objects.filter(pk=fit.pk).update(stage=stage)
