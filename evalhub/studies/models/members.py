"""Who takes part in a study, and the links that let people in."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from evalhub.studies.models.accounts import User
from evalhub.studies.models.constraints import one_of
from evalhub.studies.models.studies import Study


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    RESEARCHER = "researcher", "Researcher"
    RATER = "rater", "Rater"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    study = models.ForeignKey(Study, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "user"], name="membership_one_role_per_study"),
            one_of("role", Role, "membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.study}"


class InviteQuerySet(models.QuerySet["Invite"]):
    def usable(self) -> "InviteQuerySet":
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None).filter(
            Q(max_uses=None) | Q(uses__lt=F("max_uses"))
        )


class Invite(models.Model):
    """A link that makes whoever opens it a member. Only the token's SHA-256 is kept; the link is shown once."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="invites")
    role = models.CharField(max_length=12, choices=Role, default=Role.RATER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    uses = models.PositiveIntegerField(default=0)
    max_uses = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = InviteQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            one_of("role", Role, "invite_role_known"),
            models.CheckConstraint(
                condition=Q(max_uses=None) | Q(uses__lte=F("max_uses")), name="invite_not_used_too_often"
            ),
        ]

    def __str__(self) -> str:
        return f"invite {self.pk} ({self.role} of {self.study})"
