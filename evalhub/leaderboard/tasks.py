"""What runs behind the pages. It may run twice or late; the sweep finds what was never run."""

from celery import shared_task

from evalhub.celery import enqueue
from evalhub.leaderboard import services
from evalhub.studies.models import Study


@shared_task(name="leaderboard.find_agreement")
def find_agreement(study_id: str) -> None:
    services.find_agreement(study=Study.objects.get(pk=study_id))


@shared_task(name="leaderboard.sweep")
def sweep() -> None:
    """Ring again for whatever the database says is still to do."""
    for study in services.studies_to_compare():
        enqueue("leaderboard.find_agreement", str(study.pk))
