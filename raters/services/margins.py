"""Ship tests: a margin is registered, and the votes cast after that say whether the candidate keeps within it."""

import math

import numpy as np
from django.db import IntegrityError, transaction
from django.utils import timezone
from numpy.typing import NDArray

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Checkpoint, Criterion, LogEntry, Study, User
from raters.models import Enrolment, Fit, Margin, Outcome, Verdict
from raters.ranking import Ranking, rank, ship_verdict
from raters.services.computing import Computed, contestant_name, options_of
from raters.services.cut_off import safe_cut_off

LARGEST_MARGIN = 1000.0  # Elo; odds of more than 300 to 1 are no margin


def register_margin(
    *, study: Study, criterion: Criterion, candidate: Checkpoint, baseline: Checkpoint, margin: float, actor: User
) -> Margin:
    """Register the claim "candidate is not worse than baseline by more than `margin` Elo".

    Only votes cast from now on will count for it, so that nobody can choose a margin by looking at them; what the study
    had before is no loss to a test registered before the study opens.

    Raises: Refusal for a claim that is none, Conflict when these two have a standing one.
    """
    for what, checkpoint in (("candidate", candidate), ("baseline", baseline)):
        if checkpoint.study_id != study.pk:
            raise Refusal(f"The {what} “{checkpoint}” does not compete in this study; choose one that does.")
    if criterion.study_id != study.pk:
        raise Refusal(f"“{criterion}” is no criterion of this study; choose one that is.")
    if candidate == baseline:
        raise Refusal(f"A ship test takes two different checkpoints, got “{candidate}” for both; change one of them.")
    if not (math.isfinite(margin) and 0 < margin <= LARGEST_MARGIN):
        raise Refusal(f"The margin is a number of Elo above 0 and at most {LARGEST_MARGIN:g}, got {margin:g}.")
    after = safe_cut_off(study)
    try:
        with transaction.atomic():
            registered = Margin.objects.create(
                study=study,
                criterion=criterion,
                candidate=candidate,
                baseline=baseline,
                margin=margin,
                after_vote=after,
                registered_by=actor,
            )
            LogEntry.write(
                study=study,
                actor=actor,
                verb="registered ship test",
                subject=registered,
                criterion=criterion.key,
                after_vote=after,
            )
    except IntegrityError as error:
        raise Conflict(
            f"“{candidate}” has a ship test against “{baseline}” on {criterion.name} already; withdraw that one first."
        ) from error
    enqueue("raters.refit", str(study.pk))
    return registered


@transaction.atomic
def withdraw_margin(*, margin: Margin, reason: str, actor: User) -> Margin:
    """Take no more verdicts on it. It stays listed with the reason and what it had come to.

    Raises: Refusal without a reason, Conflict when it is withdrawn already.
    """
    reason = reason.strip()
    if not reason:
        raise Refusal("Withdrawing a ship test takes a reason, which is shown beside it; write one.")
    locked = Margin.objects.select_for_update().get(pk=margin.pk)
    if locked.withdrawn_at is not None:
        raise Conflict("This ship test has been withdrawn already.")
    locked.withdrawn_at, locked.withdrawal_reason = timezone.now(), reason
    locked.save(update_fields=["withdrawn_at", "withdrawal_reason"])
    LogEntry.write(study=locked.study, actor=actor, verb="withdrew ship test", subject=locked, reason=reason)
    return locked


def judge_margins(fit: Fit, computed: Computed) -> None:
    """One verdict per standing margin of the fit's criterion, from the votes after its registration."""
    margins = Margin.objects.standing().filter(criterion=fit.criterion).select_related("candidate", "baseline")
    kept = computed.kept
    # When those votes were cast that came in by a file, nobody here can tell.
    imported = Enrolment.objects.filter(study=fit.study, vote_import__isnull=False).values_list("rater", flat=True)
    cast_here = ~kept.by(map(str, imported))
    rankings: dict[int, Ranking] = {}
    verdicts = []
    for margin in margins:
        later = (kept.id > margin.after_vote) & cast_here
        start = int(later.argmax()) if later.any() else len(kept)
        if start not in rankings:
            rankings[start] = computed.ranking if later.all() else _rank(fit, computed, later)
        verdicts.append(_verdict(margin, fit, computed, rankings[start], int(later.sum())))
    Verdict.objects.bulk_create(verdicts)


def _rank(fit: Fit, computed: Computed, later: NDArray[np.bool_]) -> Ranking:
    votes = computed.kept.only(later).votes(computed.contestants)
    return rank(votes, computed.names, **options_of(fit))


def _verdict(margin: Margin, fit: Fit, computed: Computed, ranking: Ranking, votes: int) -> Verdict:
    names = {checkpoint: name for name, checkpoint in computed.ids.items()}
    candidate, baseline = names.get(str(margin.candidate_id)), names.get(str(margin.baseline_id))
    if candidate is None or baseline is None:
        missing = contestant_name(margin.candidate if candidate is None else margin.baseline)
        sentence = f"Undecided: {missing} has not delivered all its outputs yet."
        return Verdict(margin=margin, fit=fit, outcome=Outcome.UNDECIDED, votes=votes, sentence=sentence)
    found = ship_verdict(ranking, candidate, baseline, margin.margin)
    return Verdict(
        margin=margin,
        fit=fit,
        outcome=Outcome(found.outcome),
        difference=found.difference,
        low=found.low,
        high=found.high,
        more_votes=found.votes_needed,
        votes=votes,
        sentence=found.sentence(),
    )
