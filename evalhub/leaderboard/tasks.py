"""What runs behind the pages. It may run twice or late; the sweep finds what was never run."""

from celery import shared_task

from evalhub.celery import enqueue
from evalhub.leaderboard import services
from evalhub.leaderboard.archive import delete_study as delete
from evalhub.studies.models import Study, User


@shared_task(name="leaderboard.find_agreement")
def find_agreement(study_id: str) -> None:
    services.find_agreement(study=Study.objects.get(pk=study_id))


@shared_task(name="leaderboard.delete_study")
def delete_study(study_id: str, user_id: int) -> None:
    """Once the owner has confirmed it. If Redis is away when she does, nothing happens, and she sees the study stay."""
    for study in Study.objects.filter(pk=study_id):  # none is left when this runs a second time
        delete(study=study, actor=User.objects.filter(pk=user_id).first(), slug=study.slug)


@shared_task(name="leaderboard.sweep")
def sweep() -> None:
    """Ring again for whatever the database says is still to do."""
    for study in services.studies_to_compare():
        enqueue("leaderboard.find_agreement", str(study.pk))
