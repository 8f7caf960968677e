"""Which weights the site's workers have, so that a web node can pin them without touching their folder."""

from django.utils import timezone

from metrics.models import Weights


def note_weights(*, name: str, sha256: str, model: str = "", anew: bool = True) -> Weights:
    """Remember that the weights called `name` are here; scores that wait for them are taken up by the next sweep.

    Args:
        sha256: of the tensors. model: the architecture, for CLIP.
        anew: somebody pulled, imported or verified them just now. Otherwise a row that is there stays as it is.
    """
    facts = {"sha256": sha256, "model": model, "available_at": timezone.now()}
    if anew:
        return Weights.objects.update_or_create(name=name, defaults=facts)[0]
    return Weights.objects.get_or_create(name=name, defaults=facts)[0]
