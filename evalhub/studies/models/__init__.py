"""What is judged: studies, their prompts and members, the checkpoints that compete and the files they delivered."""

from evalhub.studies.models.accounts import ApiToken, TokenScope, User
from evalhub.studies.models.constraints import one_of
from evalhub.studies.models.log import LogEntry
from evalhub.studies.models.media import Media, MediaKind, media_path
from evalhub.studies.models.members import Invite, InviteQuerySet, Membership, Role
from evalhub.studies.models.prompts import Prompt, PromptList
from evalhub.studies.models.requests import IdempotencyKey
from evalhub.studies.models.studies import ClosedBecause, Criterion, Modality, Study, StudyQuerySet, StudyState
from evalhub.studies.models.submissions import (
    Checkpoint,
    CheckpointQuerySet,
    EntryState,
    ManifestEntry,
    ManifestEntryQuerySet,
    Sample,
    Submission,
    SubmissionState,
)
from evalhub.studies.models.webhooks import EVENTS, CallState, Event, Webhook, WebhookCall

__all__ = [
    "EVENTS",
    "ApiToken",
    "CallState",
    "Checkpoint",
    "CheckpointQuerySet",
    "ClosedBecause",
    "Criterion",
    "EntryState",
    "Event",
    "IdempotencyKey",
    "Invite",
    "InviteQuerySet",
    "LogEntry",
    "ManifestEntry",
    "ManifestEntryQuerySet",
    "Media",
    "MediaKind",
    "Membership",
    "Modality",
    "Prompt",
    "PromptList",
    "Role",
    "Sample",
    "Study",
    "StudyQuerySet",
    "StudyState",
    "Submission",
    "SubmissionState",
    "TokenScope",
    "User",
    "Webhook",
    "WebhookCall",
    "media_path",
    "one_of",
]
