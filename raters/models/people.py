"""Raters and their states in studies."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Study, User, one_of


class EnrolmentState(models.TextChoices):
    INVITED = "invited", "Invited"
    CONSENTED = "consented", "Consented"
    TRAINING = "training", "Training"
    QUALIFIED = "qualified", "Qualified"
    ACTIVE = "active", "Active"
    SCREENED_OUT = "screened_out", "Screened out"
    WITHDRAWN = "withdrawn", "Withdrawn"
    COMPLETE = "complete", "Complete"


class Rater(models.Model):
    """A person who compares, apart from her account: erasing the account leaves the counts' history whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(User, models.SET_NULL, null=True, blank=True, related_name="rater")
    simulated = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"Rater {self.pseudonym}{' (simulated)' if self.simulated else ''}"

    @property
    def pseudonym(self) -> str:
        """Short enough for a table, and says nothing of the person."""
        return str(self.pk)[:8]


class Enrolment(models.Model):
    """One rater's state in one study. Exclusion is reversible, says why, and says nothing about her pay."""

    rater = models.ForeignKey(Rater, models.CASCADE, related_name="enrolments")
    study = models.ForeignKey(Study, models.CASCADE, related_name="enrolments")
    state = models.CharField(max_length=12, choices=EnrolmentState, default=EnrolmentState.INVITED)
    group = models.CharField(max_length=40, blank=True, help_text="Where she comes from; rankings can be cut by it.")
    consent_version = models.PositiveSmallIntegerField(null=True, blank=True)
    consented_at = models.DateTimeField(null=True, blank=True)
    excluded_at = models.DateTimeField(null=True, blank=True)
    exclusion_reason = models.TextField(blank=True)
    answers = models.PositiveIntegerField(default=0, help_text="Comparisons answered, controls apart; kept with votes.")
    agreed_to_see_at = models.DateTimeField(null=True, blank=True, help_text="In a sensitive study: sees it unblurred.")
    withdrawn_at = models.DateTimeField(null=True, blank=True, help_text="When she took back her consent.")
    attempt = models.PositiveSmallIntegerField(default=1, db_default=1, help_text="At the qualification.")
    window_width = models.PositiveIntegerField(null=True, blank=True, help_text="In CSS pixels, as her browser told.")
    window_height = models.PositiveIntegerField(null=True, blank=True)
    window_checked_at = models.DateTimeField(null=True, blank=True)
    rule_waived_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when an owner keeps her answers in, whatever the rule for using them says.",
    )
    visit = models.ForeignKey(
        "raters.Visit",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="Her newest, if a platform sent her: its share is what she works on.",
    )
    vote_import = models.ForeignKey(
        "raters.VoteImport",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="enrolments",
        help_text="Whose votes were cast elsewhere came in with it; she never compared here.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rater", "study"], name="enrolment_once_per_study"),
            one_of("state", EnrolmentState, "enrolment_state_known"),
            models.CheckConstraint(
                condition=Q(excluded_at=None) | ~Q(exclusion_reason=""), name="enrolment_exclusion_has_reason"
            ),
            models.CheckConstraint(
                condition=~Q(state=EnrolmentState.ACTIVE) | Q(consented_at__isnull=False),
                name="enrolment_active_has_consent",
            ),
            models.CheckConstraint(
                condition=~Q(state=EnrolmentState.WITHDRAWN) | Q(withdrawn_at__isnull=False),
                name="enrolment_withdrawn_has_a_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rater} in {self.study}"
