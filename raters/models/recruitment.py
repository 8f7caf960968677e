"""How raters are found: open links and the platforms that send people."""

import uuid
from typing import ClassVar

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.utils import timezone

from evalhub.studies.models import Study, User, one_of
from raters.models.people import Enrolment


class Platform(models.TextChoices):
    LINK = "link", "Open link"
    PROLIFIC = "prolific", "Prolific"
    MTURK = "mturk", "Mechanical Turk"


class RecruitmentQuerySet(models.QuerySet["Recruitment"]):
    def taking(self) -> "RecruitmentQuerySet":
        """Those whose links still let people in."""
        return self.filter(closed_at=None)


class Recruitment(models.Model):
    """One way in for raters without accounts, and what its platform is told when they leave."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="recruitments")
    platform = models.CharField(max_length=8, choices=Platform)
    name = models.CharField(
        max_length=40, help_text="Rankings can be cut by it: it becomes the group of who comes this way."
    )
    token = models.CharField(max_length=43, unique=True, help_text="In the address that is given to the platform.")
    comparisons = models.PositiveIntegerField(null=True, blank=True, help_text="A visit is complete after so many.")
    completion_code = models.CharField(max_length=64, blank=True)
    screened_out_code = models.CharField(max_length=64, blank=True)
    no_consent_code = models.CharField(max_length=64, blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = RecruitmentQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            one_of("platform", Platform, "recruitment_platform_known"),
            models.UniqueConstraint(fields=["study", "name"], name="recruitment_name_once_per_study"),
            models.CheckConstraint(
                condition=Q(comparisons=None) | Q(comparisons__gt=0), name="recruitment_asks_for_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.platform})"


class VisitOutcome(models.TextChoices):
    OPEN = "", "Under way"
    COMPLETED = "completed", "Completed"
    SCREENED_OUT = "screened_out", "Screened out"
    NO_CONSENT = "no_consent", "No consent"


class Visit(models.Model):
    """One person's coming by a recruitment: under what number the platform knows it, and how it ended."""

    key = models.UUIDField(
        db_default=RandomUUID(), unique=True, editable=False, help_text="In frames' tokens, and told to platforms."
    )
    recruitment = models.ForeignKey(Recruitment, models.CASCADE, related_name="visits")
    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="visits")
    participant = models.CharField(max_length=128, help_text="PROLIFIC_PID, workerId, or a random number of ours.")
    session = models.CharField(max_length=128, blank=True, help_text="SESSION_ID or assignmentId.")
    external_study = models.CharField(max_length=128, blank=True, help_text="STUDY_ID or hitId.")
    submit_to = models.URLField(max_length=300, blank=True, help_text="MTurk's own address for submissions.")
    outcome = models.CharField(max_length=12, choices=VisitOutcome, default=VisitOutcome.OPEN, blank=True)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            one_of("outcome", VisitOutcome, "visit_outcome_known"),
            models.UniqueConstraint(fields=["recruitment", "participant", "session"], name="visit_once_per_session"),
            models.UniqueConstraint(
                fields=["recruitment", "session"], condition=~Q(session=""), name="visit_session_is_one_person"
            ),
            models.CheckConstraint(
                condition=Q(outcome="", ended_at=None) | (~Q(outcome="") & Q(ended_at__isnull=False)),
                name="visit_ended_when_it_has_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"Visit {self.pk}"
