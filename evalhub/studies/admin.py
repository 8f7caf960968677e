"""Studies in the administration: accounts are managed here; evidence can be read, and changes only through services."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from evalhub.studies.models import Checkpoint, LogEntry, Membership, Study, Submission, User

admin.site.register(User, UserAdmin)


class ReadOnly(admin.ModelAdmin):
    """Shown, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Study)
class StudyAdmin(ReadOnly):
    list_display = ("name", "slug", "state", "modality", "created_by", "created_at")
    list_filter = ("state",)
    search_fields = ("name", "slug")


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    list_display = ("user", "study", "role", "created_at")
    list_filter = ("role", "study")
    list_select_related = ("user", "study")


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly):
    list_display = ("name", "step", "family", "study", "created_by", "created_at")
    list_filter = ("study",)
    list_select_related = ("study", "created_by")
    search_fields = ("name", "family")


@admin.register(Submission)
class SubmissionAdmin(ReadOnly):
    list_display = ("checkpoint", "state", "created_by", "created_at", "completed_at")
    list_filter = ("state",)
    list_select_related = ("checkpoint", "created_by")


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnly):
    list_display = ("at", "actor", "verb", "subject", "study")
    list_filter = ("verb", "study")
    list_select_related = ("actor", "study")
    search_fields = ("subject",)
