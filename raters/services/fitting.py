"""When the study's own ranking is frozen anew, and which is the newest."""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db.models import Exists, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from redis.exceptions import RedisError

from evalhub.celery import enqueue
from evalhub.studies.models import Criterion, Event, LogEntry, Study
from evalhub.studies.services import webhooks
from raters import locks
from raters.models import Fit, Vote
from raters.services.closing import close_if_done
from raters.services.cut_off import safe_cut_off
from raters.services.freezing import freeze
from raters.services.rules import apply_use_rule

log = logging.getLogger(__name__)
_rung: dict[UUID, float] = {}  # until when the mark that this process has set is there, so that it need not ask


REST = 5  # times as long as a fit took, a worker is left to others
LONGEST_REST = 300  # seconds
# What else than votes changes a ranking or what is kept beside it; see the study's log.
CHANGES = (
    "excluded rater",
    "readmitted rater",
    "withdrew consent",
    "consented again",
    "changed rater rules",
    "registered ship test",
    "took import back",
    "put import back",
)


def ask_for_refit(study: Study) -> None:
    """Have the study fitted soon; once for all votes of the next few seconds, or minutes where a fit takes long."""
    delay = settings.REFIT_DELAY_SECONDS
    mark = f"refit:{study.pk}"
    if time.monotonic() < _rung.get(study.pk, 0.0):
        return
    rung_at = time.monotonic()
    try:
        # The mark goes before the fit begins, so a vote that comes after the fit's cut-off asks for the next one.
        if not cache.add(mark, True, timeout=delay):
            return
        rest = min(REST * cache.get(f"{mark}:seconds", 0), LONGEST_REST)
        if rest > delay:
            delay = rest
            cache.touch(mark, timeout=delay)
        _rung[study.pk] = rung_at + settings.REFIT_DELAY_SECONDS
    except (RedisError, OSError) as error:
        log.warning("Redis did not answer (%s); the sweep will start the fit of %s.", error, study.slug)
        return
    enqueue("raters.refit", str(study.pk), countdown=delay + 0.5)


def studies_to_refit() -> list[Study]:
    """Studies with votes or exclusions that no fit has seen though there was time: a ring was lost."""
    newest = Fit.objects.official().filter(study=OuterRef("pk"))
    old_enough = timezone.now() - timedelta(seconds=settings.REFIT_DELAY_SECONDS)
    unseen = Vote.objects.filter(study=OuterRef("pk"), id__gt=OuterRef("seen"), created_at__lte=old_enough)
    changed = LogEntry.objects.filter(
        study=OuterRef("pk"), verb__in=CHANGES, at__lte=old_enough, at__gt=OuterRef("made")
    )
    studies = Study.objects.annotate(
        seen=Coalesce(Subquery(newest.order_by("-cut_off").values("cut_off")[:1]), Value(0)),
        made=Subquery(newest.order_by("-created_at").values("created_at")[:1]),
    )
    return [study for study in studies.filter(Exists(unseen) | Exists(changed)) if not _has_rung(study)]


def refit(*, study: Study) -> list[Fit]:
    """Freeze a ranking of all votes committed until now, one per criterion.

    Of several who are asked to at once, one does it; the others return nothing at once.
    """
    with locks.only_one(study, "fit") as alone:
        if not alone:
            return []
        cut_off = safe_cut_off(study)
        if not cut_off:
            return []
        apply_use_rule(study=study)
        fits = [Fit(study=study, criterion=criterion, cut_off=cut_off) for criterion in study.criteria.all()]
        for fit in fits:
            freeze(fit)
        told = [{"fit": fit.pk, "criterion": fit.criterion and fit.criterion.key, "votes": fit.votes} for fit in fits]
        webhooks.announce(study=study, event=Event.FIT_CHANGED, data={"fits": told})
        close_if_done(study=study)
        _remember(study, sum(fit.seconds for fit in fits))
        return fits


def fit_of(*, study: Study, criterion: Criterion | None = None, slice: Mapping[str, Any] | None = None) -> Fit | None:
    """The newest finished fit of the question; None before the first.

    Args:
        criterion: None for all of the study's pooled.
        slice: as `normalise_slice` gives it; none for the study's own ranking.
    """
    return Fit.objects.of(study, criterion, slice or {}).done().first()


def _has_rung(study: Study) -> bool:
    """Whether a fit has been asked for and its time has not come yet."""
    try:
        return bool(cache.get(f"refit:{study.pk}"))
    except (RedisError, OSError):
        return False


def _remember(study: Study, seconds: float) -> None:
    """How long the last fits took, so that the next ones leave the worker time for others."""
    try:
        cache.set(f"refit:{study.pk}:seconds", seconds, timeout=24 * 3600)
    except (RedisError, OSError) as error:
        log.warning("Redis did not answer (%s), so the next fit of %s comes without a rest.", error, study.slug)
