"""When the study's own ranking is frozen anew, and which is the newest."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Exists, Max, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from redis.exceptions import RedisError

from evalhub.celery import enqueue
from evalhub.studies.models import Criterion, Study
from raters import locks
from raters.models import Fit, Vote
from raters.services.freezing import freeze

log = logging.getLogger(__name__)


def ask_for_refit(study: Study) -> None:
    """Have the study fitted soon; once for all votes of the next few seconds."""
    delay = settings.REFIT_DELAY_SECONDS
    try:
        # The mark goes before the fit begins, so a vote that comes after the fit's cut-off asks for the next one.
        if not cache.add(f"refit:{study.pk}", True, timeout=delay):
            return
    except (RedisError, OSError) as error:
        log.warning("Redis did not answer (%s); the sweep will start the fit of %s.", error, study.slug)
        return
    enqueue("raters.refit", str(study.pk), countdown=delay + 0.5)


def studies_to_refit() -> list[Study]:
    """Studies with votes that no fit has seen though there was time: what is left when a ring was lost."""
    newest = Fit.objects.official().filter(study=OuterRef("pk")).order_by("-cut_off").values("cut_off")[:1]
    old_enough = timezone.now() - timedelta(seconds=settings.REFIT_DELAY_SECONDS)
    unseen = Vote.objects.filter(study=OuterRef("pk"), id__gt=OuterRef("seen"), created_at__lte=old_enough)
    return list(Study.objects.annotate(seen=Coalesce(Subquery(newest), Value(0))).filter(Exists(unseen)))


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
        fits = [Fit(study=study, criterion=criterion, cut_off=cut_off) for criterion in study.criteria.all()]
        for fit in fits:
            freeze(fit)
        return fits


def safe_cut_off(study: Study) -> int:
    """The newest vote's id, below which none can appear any more; 0 before the first vote."""
    with locks.no_votes_under_way(study):
        return Vote.objects.filter(study=study).aggregate(newest=Max("id"))["newest"] or 0


def fit_of(*, study: Study, criterion: Criterion | None = None, slice: Mapping[str, Any] | None = None) -> Fit | None:
    """The newest finished fit of the question; None before the first.

    Args:
        criterion: None for all of the study's pooled.
        slice: as `normalise_slice` gives it; none for the study's own ranking.
    """
    return Fit.objects.of(study, criterion, slice or {}).done().first()
