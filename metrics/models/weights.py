"""Which weights the site has."""

from django.db import models
from django.utils import timezone


class Weights(models.Model):
    """Weights that some worker of this site has, by the hash of their tensors: what a new run may pin and count on."""

    name = models.CharField(max_length=80, unique=True)
    sha256 = models.CharField(max_length=64, help_text="Of the tensors, whichever file they came from.")
    model = models.CharField(
        max_length=40, blank=True, help_text="The architecture, where a checkpoint does not say it."
    )
    # Renewed by every pull, import and verify; scores that waited since before it are taken up again.
    available_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "weights"

    def __str__(self) -> str:
        return self.name
