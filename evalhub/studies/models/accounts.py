"""People with accounts, and the keys that their programs sign with."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager

from evalhub.studies.models.constraints import one_of


class TokenScope(models.TextChoices):
    READ = "read", "Read"
    SUBMIT = "submit", "Read and submit"


class User(AbstractUser):  # type: ignore[django-manager-missing]  # of auth_token_set: knox carries no types
    """A person with an account. What she may do is said per study, by her memberships."""


class ApiToken(AbstractAuthToken):
    """A key for the API: hashed, expiring, scoped to what it may do and, if wanted, to one study."""

    name = models.CharField(max_length=80, default="")
    scope = models.CharField(max_length=8, choices=TokenScope, default=TokenScope.SUBMIT)
    study = models.ForeignKey("studies.Study", models.CASCADE, null=True, blank=True, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = AuthTokenManager()

    class Meta:
        constraints: ClassVar = [one_of("scope", TokenScope, "token_scope_known")]
