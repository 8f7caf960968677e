"""What is judged: studies, their prompts and members, the checkpoints that compete and the files they delivered."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from knox.models import AbstractAuthToken, AuthTokenManager


def one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """Django's `choices` do not bind the database; this does."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)


class Modality(models.TextChoices):
    IMAGE = "image", "Images"
    VIDEO = "video", "Videos"


class StudyState(models.TextChoices):
    DRAFT = "draft", "Draft"
    OPEN = "open", "Open"
    PAUSED = "paused", "Paused"
    CLOSED = "closed", "Closed"


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    RESEARCHER = "researcher", "Researcher"
    RATER = "rater", "Rater"
    VIEWER = "viewer", "Viewer"


class MediaKind(models.TextChoices):
    IMAGE = "image", "Image"
    VIDEO = "video", "Video"


class SubmissionState(models.TextChoices):
    INCOMPLETE = "incomplete", "Incomplete"
    COMPLETE = "complete", "Complete"


class EntryState(models.TextChoices):
    MISSING = "missing", "Missing"
    RECEIVED = "received", "Received"
    BAD = "bad", "Bad"


class TokenScope(models.TextChoices):
    READ = "read", "Read"
    SUBMIT = "submit", "Read and submit"


class User(AbstractUser):  # type: ignore[django-manager-missing]  # of auth_token_set: knox carries no types
    """A person with an account. What she may do is said per study, by her memberships."""


class StudyQuerySet(models.QuerySet["Study"]):
    def seen_by(self, user: User) -> "StudyQuerySet":
        """Studies this person is a member of; a superuser sees every study."""
        if user.is_superuser:
            return self.all()
        return self.filter(memberships__user=user).distinct()

    def with_counts(self) -> "StudyQuerySet":
        """Adds `prompt_count`, `checkpoint_count` and `complete_count`, counted apart: joined, they would multiply."""
        complete = Checkpoint.objects.filter(submission__state=SubmissionState.COMPLETE)
        return self.annotate(
            prompt_count=_count(Prompt.objects.all()),
            checkpoint_count=_count(Checkpoint.objects.all()),
            complete_count=_count(complete),
        )


def _count(rows: models.QuerySet[Any]) -> Coalesce:
    """How many of these rows belong to the study of the outer query."""
    counted = rows.filter(study=OuterRef("pk")).order_by().values("study").annotate(found=Count("pk"))
    return Coalesce(Subquery(counted.values("found")), 0)


class Study(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    modality = models.CharField(max_length=8, choices=Modality, default=Modality.IMAGE)
    state = models.CharField(max_length=8, choices=StudyState, default=StudyState.DRAFT)
    consent = models.TextField(blank=True, help_text="Markdown. A rater agrees to this before her first comparison.")
    consent_version = models.PositiveSmallIntegerField(default=1)
    instructions = models.TextField(blank=True, help_text="Markdown, shown before the first comparison.")
    # The longest side, in pixels, that raters are shown; both sides of a comparison are encoded at equal dimensions.
    presentation_edge = models.PositiveIntegerField(default=4096)
    works_without_javascript = models.BooleanField(default=False)
    votes_per_rater = models.PositiveIntegerField(null=True, blank=True, help_text="A rater is done after so many.")
    is_demo = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    published_at = models.DateTimeField(null=True, blank=True)

    objects = StudyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            one_of("modality", Modality, "study_modality_known"),
            one_of("state", StudyState, "study_state_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def takes_votes(self) -> bool:
        return self.state == StudyState.OPEN


class Criterion(models.Model):
    """One question that every comparison of the study answers."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="criteria")
    key = models.SlugField(max_length=32)
    name = models.CharField(max_length=80)
    question = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    allows_tie = models.BooleanField(default=True)
    allows_both_bad = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "criteria"
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "key"], name="criterion_key_once_per_study")]

    def __str__(self) -> str:
        return self.name


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


class Media(models.Model):
    """Bytes, addressed by their SHA-256 within one study, and what was read from the bytes themselves.

    The address is scoped to the study so that nobody can learn of, or claim, another team's file by its hash.
    """

    study = models.ForeignKey(Study, models.CASCADE, related_name="media")
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8, choices=MediaKind)
    format = models.CharField(max_length=16)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    frames = models.PositiveIntegerField(default=1)
    duration = models.FloatField(null=True, blank=True, help_text="Seconds; videos only.")
    fps = models.FloatField(null=True, blank=True)
    codec = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "media"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["study", "sha256"], name="media_once_per_study"),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="media_sha256_is_hex"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="media_has_pixels"),
        ]

    def __str__(self) -> str:
        return f"{self.format} {self.width}×{self.height} {self.sha256[:12]}"

    @property
    def path(self) -> str:
        """Where the bytes lie in the default storage."""
        return media_path(self.study_id, self.sha256)


def media_path(study_id: uuid.UUID, sha256: str) -> str:
    return f"studies/{study_id}/media/{sha256[:2]}/{sha256}"


class Prompt(models.Model):
    """What every contestant was asked; for editing and restoration also what it was given and what is true."""

    study = models.ForeignKey(Study, models.CASCADE, related_name="prompts")
    key = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    source = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    mask = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    reference = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["position", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["study", "key"], name="prompt_key_once_per_study")]

    def __str__(self) -> str:
        return self.key


class Checkpoint(models.Model):
    """One contestant, and the cost that its own team reports for it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey(Study, models.CASCADE, related_name="checkpoints")
    family = models.CharField(max_length=120, blank=True, help_text="What its steps have in common; one curve each.")
    name = models.CharField(max_length=120)
    step = models.PositiveBigIntegerField(null=True, blank=True)
    latency_p50 = models.FloatField(null=True, blank=True, help_text="Seconds per output, self-reported.")
    latency_p95 = models.FloatField(null=True, blank=True, help_text="Seconds per output, self-reported.")
    price = models.FloatField(null=True, blank=True, help_text="US dollars per output, self-reported.")
    gpu = models.CharField(max_length=120, blank=True)
    dtype = models.CharField(max_length=32, blank=True)
    notes = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "step"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["study", "name", "step"], name="checkpoint_once_per_study", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=(Q(latency_p50=None) | Q(latency_p50__gte=0))
                & (Q(latency_p95=None) | Q(latency_p95__gte=0))
                & (Q(price=None) | Q(price__gte=0)),
                name="checkpoint_facts_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name if self.step is None else f"{self.name} @ {self.step:,}"


class Submission(models.Model):
    """One delivery of a checkpoint's outputs. Complete means immutable: changed outputs are a new checkpoint."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    checkpoint = models.OneToOneField(Checkpoint, models.CASCADE, related_name="submission")
    state = models.CharField(max_length=12, choices=SubmissionState, default=SubmissionState.INCOMPLETE)
    created_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state=SubmissionState.INCOMPLETE, completed_at=None)
                | Q(state=SubmissionState.COMPLETE, completed_at__isnull=False),
                name="submission_complete_when_it_says_so",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} ({self.state})"

    @property
    def is_complete(self) -> bool:
        return self.state == SubmissionState.COMPLETE


class ManifestEntryQuerySet(models.QuerySet["ManifestEntry"]):
    def outstanding(self) -> "ManifestEntryQuerySet":
        """Files that have not arrived, or have and did not do."""
        return self.exclude(state=EntryState.RECEIVED)


class ManifestEntry(models.Model):
    """One file that a submission promises, and how far it has come."""

    submission = models.ForeignKey(Submission, models.CASCADE, related_name="entries")
    path = models.CharField(max_length=1000)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    prompt = models.ForeignKey(Prompt, models.CASCADE, related_name="+")
    seed = models.BigIntegerField(default=0)
    state = models.CharField(max_length=12, choices=EntryState, default=EntryState.MISSING)
    problem = models.TextField(blank=True)
    media = models.ForeignKey(Media, models.PROTECT, null=True, blank=True, related_name="+")

    objects = ManifestEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "manifest entries"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["submission", "path"], name="entry_path_once_per_submission"),
            models.UniqueConstraint(fields=["submission", "prompt", "seed"], name="entry_one_per_prompt_and_seed"),
            models.CheckConstraint(
                condition=Q(state=EntryState.RECEIVED, media__isnull=False, problem="")
                | Q(state=EntryState.MISSING, media=None)
                | (Q(state=EntryState.BAD, media=None) & ~Q(problem="")),
                name="entry_state_has_its_evidence",
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$"), name="entry_sha256_is_hex"),
        ]
        indexes: ClassVar = [
            # The upload of one file finds its entries by the hash it was promised under.
            models.Index(fields=["submission", "sha256"], name="entry_by_hash"),
            # Each upload asks whether anything is still to come.
            models.Index(fields=["submission"], condition=~Q(state=EntryState.RECEIVED), name="entry_outstanding"),
        ]

    def __str__(self) -> str:
        return f"{self.path} ({self.state})"


class Sample(models.Model):
    """One output. Samples are made when their submission completes, so whatever is here may be compared and scored."""

    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, related_name="samples")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="samples")
    seed = models.BigIntegerField(default=0)
    media = models.ForeignKey(Media, models.PROTECT, related_name="samples")

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["checkpoint", "prompt", "seed"], name="sample_one_per_prompt_and_seed")
        ]

    def __str__(self) -> str:
        return f"{self.checkpoint} · {self.prompt} · {self.seed}"


class ApiToken(AbstractAuthToken):
    """A key for the API: hashed, expiring, scoped to what it may do and, if wanted, to one study."""

    name = models.CharField(max_length=80, default="")
    scope = models.CharField(max_length=8, choices=TokenScope, default=TokenScope.SUBMIT)
    study = models.ForeignKey(Study, models.CASCADE, null=True, blank=True, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = AuthTokenManager()

    class Meta:
        constraints: ClassVar = [one_of("scope", TokenScope, "token_scope_known")]


class LogEntry(models.Model):
    """What somebody did that can change a result. Rows are only ever added."""

    study = models.ForeignKey(Study, models.CASCADE, null=True, related_name="log")
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    verb = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    details = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "log entries"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"

    @classmethod
    def write(cls, *, study: Study | None, actor: User | None, verb: str, subject: Any, **details: Any) -> "LogEntry":
        return cls.objects.create(study=study, actor=actor, verb=verb, subject=str(subject)[:200], details=details)
