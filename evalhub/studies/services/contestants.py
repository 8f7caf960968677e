"""Who competes: the list of contestants registered before the votes, and checkpoints withdrawn for all to see."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from evalhub.celery import enqueue
from evalhub.problems import Conflict, Refusal
from evalhub.studies.models import Checkpoint, LogEntry, Study, StudyState, User


@transaction.atomic
def register_contestants(*, study: Study, actor: User) -> Study:
    """Freeze the list of contestants: every checkpoint that was begun by now, and no later one until this is lifted.

    A later checkpoint can be submitted and scored; raters are not offered it and no ranking has it, so nobody can add
    the best of many variants after having seen the standings. Registered once, the list stays as it is.

    Raises: Conflict when the study is closed; Refusal while fewer than two checkpoints are there.
    """
    locked = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if locked.contestants_registered_at is not None:
        return locked
    if locked.state == StudyState.CLOSED:
        raise Conflict("This study is closed, so its contestants are who they are.")
    contestants = [str(checkpoint) for checkpoint in locked.checkpoints.all()]
    if len(contestants) < 2:
        raise Refusal(
            f"A ranking takes at least two contestants, and this study has {len(contestants)}; wait for more."
        )
    return _register(locked, actor, "registered contestants", contestants, begun_until=timezone.now())


@transaction.atomic
def lift_registration(*, study: Study, actor: User) -> Study:
    """Let every complete checkpoint compete again, those submitted since the registration too. For all to see in the
    log."""
    locked = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if locked.contestants_registered_at is None:
        return locked
    joining = [str(one) for one in locked.checkpoints.filter(created_at__gt=locked.contestants_registered_at)]
    return _register(locked, actor, "lifted registration", joining, begun_until=None)


@transaction.atomic
def withdraw_checkpoint(*, checkpoint: Checkpoint, actor: User, reason: str) -> Checkpoint:
    """Take a checkpoint out of the running: it is offered to nobody any more and stays listed, as withdrawn.

    Its votes stay in the rankings, which they tell the others apart by, and so does its rating. What a rater has before
    her is still taken.

    Raises: Refusal without a reason; Conflict when it is withdrawn already.
    """
    if not reason.strip():
        raise Refusal("Say why this checkpoint is withdrawn; everybody who sees the study can read it.")
    locked = Checkpoint.objects.select_for_update(no_key=True).get(pk=checkpoint.pk)
    if locked.withdrawn_at is not None:
        raise Conflict(f"{locked} is withdrawn already: {locked.withdrawal_reason}")
    return _withdraw(locked, actor, "withdrew checkpoint", reason.strip())


@transaction.atomic
def restore_checkpoint(*, checkpoint: Checkpoint, actor: User) -> Checkpoint:
    """Take a withdrawal back. Conflict when there is none."""
    locked = Checkpoint.objects.select_for_update(no_key=True).get(pk=checkpoint.pk)
    if locked.withdrawn_at is None:
        raise Conflict(f"{locked} is not withdrawn.")
    return _withdraw(locked, actor, "restored checkpoint", "")


def _register(study: Study, actor: User, verb: str, names: list[str], *, begun_until: datetime | None) -> Study:
    study.contestants_registered_at = begun_until
    study.save(update_fields=["contestants_registered_at"])
    LogEntry.write(study=study, actor=actor, verb=verb, subject=study, contestants=names)
    enqueue("raters.refit", str(study.pk))
    return study


def _withdraw(checkpoint: Checkpoint, actor: User, verb: str, reason: str) -> Checkpoint:
    checkpoint.withdrawn_at = timezone.now() if reason else None
    checkpoint.withdrawal_reason = reason
    checkpoint.save(update_fields=["withdrawn_at", "withdrawal_reason"])
    told = {"reason": reason} if reason else {}
    LogEntry.write(study=checkpoint.study, actor=actor, verb=verb, subject=checkpoint, **told)
    return checkpoint
