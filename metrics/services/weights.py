"""Which weights the site's workers have, so that a web node can pin them without touching their folder."""

from django.db import transaction
from django.utils import timezone

from evalhub.studies.models import LogEntry
from metrics.models import Weights


@transaction.atomic
def note_weights(*, name: str, sha256: str, model: str = "", anew: bool = True) -> Weights:
    """Remember that the weights called `name` are here; scores that wait for them are taken up by the next sweep.

    Args:
        sha256: of the tensors. model: the architecture, for CLIP.
        anew: somebody pulled, imported or verified them just now. Otherwise a row that is there stays as it is.
    """
    facts = {"sha256": sha256, "model": model, "available_at": timezone.now()}
    before = Weights.objects.filter(name=name).first()
    if before is not None and not anew:
        return before
    weights = Weights.objects.update_or_create(name=name, defaults=facts)[0]
    if before is None or (before.sha256, before.model) != (sha256, model):  # verifying them again changes no score
        told = {"after": sha256} | ({"before": before.sha256} if before else {}) | ({"model": model} if model else {})
        LogEntry.write(study=None, actor=None, verb="took weights", subject=name, **told)
    return weights
