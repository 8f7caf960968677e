"""Raters in the administration: what happened can be read here; only an exclusion can be set and taken back."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from evalhub.studies.models import User
from raters import services
from raters.models import Comparison, Enrolment, Fit, Margin, Rater, Vote


class ReadOnly(admin.ModelAdmin):
    """Evidence: shown, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Enrolment)
class EnrolmentAdmin(admin.ModelAdmin):
    """A reason excludes a rater: her votes stay, and no ranking counts them until the reason is taken back."""

    list_display = ("rater", "study", "state", "consented_at", "excluded_at")
    list_filter = ("study", "state")
    list_select_related = ("rater", "study")
    fields = ("rater", "study", "state", "consent_version", "consented_at", "excluded_at", "exclusion_reason")
    readonly_fields = ("rater", "study", "state", "consent_version", "consented_at", "excluded_at")

    def save_model(self, request: HttpRequest, obj: Enrolment, form: Any, change: bool) -> None:
        assert isinstance(request.user, User)  # the administration lets nobody else in
        services.set_exclusion(enrolment=obj, reason=obj.exclusion_reason, actor=request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Rater)
class RaterAdmin(ReadOnly):
    list_display = ("id", "simulated", "created_at")
    list_filter = ("simulated",)


@admin.register(Comparison)
class ComparisonAdmin(ReadOnly):
    list_display = ("id", "study", "rater", "reason", "propensity", "shown_at", "answered_at")
    list_filter = ("study", "reason", "control")
    list_select_related = ("study", "rater")
    exclude = ("token", "left_token", "right_token")  # they open what was shown, for her alone
    show_full_result_count = False


@admin.register(Vote)
class VoteAdmin(ReadOnly):
    list_display = (
        "id",
        "study",
        "rater",
        "criterion",
        "choice",
        "revision",
        "milliseconds",
        "simulated",
        "created_at",
    )
    list_filter = ("study", "choice", "simulated", "without_javascript")
    list_select_related = ("study", "rater", "criterion")
    show_full_result_count = False


@admin.register(Margin)
class MarginAdmin(ReadOnly):
    list_display = ("study", "criterion", "candidate", "baseline", "margin", "registered_at", "withdrawn_at")
    list_filter = ("study",)
    list_select_related = ("study", "criterion", "candidate", "baseline")


@admin.register(Fit)
class FitAdmin(ReadOnly):
    list_display = (
        "study",
        "criterion",
        "slice",
        "state",
        "votes",
        "simulated_votes",
        "raters",
        "cut_off",
        "seconds",
        "created_at",
    )
    list_filter = ("study", "state")
    list_select_related = ("study", "criterion")
