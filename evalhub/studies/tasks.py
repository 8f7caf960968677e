"""What runs behind the pages of studies. Each may run twice or late; the sweep finds what was never run."""

from celery import shared_task

from evalhub.celery import enqueue
from evalhub.studies.services import webhooks


@shared_task(name="studies.call_webhook")
def call_webhook(call_id: str) -> None:
    webhooks.attempt(call_id=call_id)  # the sweep finds it again when the next attempt is due


@shared_task(name="studies.sweep")
def sweep() -> None:
    """Ring again for calls that are due."""
    webhooks.forget_old_calls()
    for call in webhooks.calls_due():
        enqueue("studies.call_webhook", str(call))
