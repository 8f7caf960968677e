"""The only door to a run: whoever may see its submission."""

from uuid import UUID

from django.http import Http404

from evalhub.studies.access import Actor, get_submission
from evalhub.studies.models import Submission
from metrics.models import Run, RunQuerySet


def get_run(actor: Actor, run_id: UUID | str, right: str) -> Run:
    """The run with that id, if the actor has `see` or `submit` in its study.

    Raises: Http404 for a stranger, PermissionDenied (with the reason) for a member without the right.
    """
    run = Run.objects.with_everything().filter(pk=run_id).first()
    if run is None:
        raise Http404
    get_submission(actor, run.submission_id, right)
    return run


def runs_of(submission: Submission) -> RunQuerySet:
    """A submission's runs, the newest first; get the submission through its own door."""
    return Run.objects.with_everything().filter(submission=submission)
