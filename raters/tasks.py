"""What runs behind the pages: copies and rankings. Each may run twice or late; the sweep finds what was never run."""

from celery import shared_task

from evalhub.celery import enqueue
from evalhub.studies.models import Study
from raters import services
from raters.models import Fit, VoteFile
from raters.services.vote_uploads import forget_vote_files, vote_files_to_resume, work_on_vote_file


@shared_task(name="raters.prepare_presentation")
def prepare_presentation(study_id: str) -> None:
    services.prepare_presentation(study=Study.objects.get(pk=study_id))


@shared_task(name="raters.refit")
def refit(study_id: str) -> None:
    if services.refit(study=Study.objects.get(pk=study_id)):
        enqueue("leaderboard.find_agreement", study_id)


@shared_task(name="raters.fit_slice")
def fit_slice(fit_id: str) -> None:
    services.fit_slice(fit=Fit.objects.select_related("study").get(pk=fit_id))


@shared_task(name="raters.close_if_done")
def close_if_done(study_id: str) -> None:
    services.close_if_done(study=Study.objects.get(pk=study_id))


@shared_task(name="raters.import_votes")
def import_votes(file_id: str) -> None:
    work_on_vote_file(vote_file=VoteFile.objects.select_related("study").get(pk=file_id))


@shared_task(name="raters.sweep")
def sweep() -> None:
    """Ring again for whatever the database says is still to do."""
    for study in services.studies_to_prepare():
        enqueue("raters.prepare_presentation", str(study.pk))
    for study in services.studies_to_refit():
        enqueue("raters.refit", str(study.pk))
    for fit in services.fits_to_resume():
        enqueue("raters.fit_slice", str(fit.pk))
    for vote_file in vote_files_to_resume():
        enqueue("raters.import_votes", str(vote_file.pk))
    forget_vote_files()
