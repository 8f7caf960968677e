"""What webhooks are told of runs."""

from evalhub.studies.models import Event
from evalhub.studies.services import webhooks
from metrics.models import Run


def tell_end(run: Run) -> None:
    """Tell that a run has ended, how, and with which scores; in the transaction that ended it."""
    checkpoint = run.submission.checkpoint
    scores = run.scores.values("metric", "state", "value", "low", "high", "n")
    told = {"run": run.pk, "submission": run.submission_id, "checkpoint": checkpoint.name, "step": checkpoint.step}
    told |= {"state": run.state, "error": run.error, "scores": list(scores)}
    webhooks.announce(study=checkpoint.study, event=Event.RUN_DONE, data=told)
