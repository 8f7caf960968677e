"""Runs for the operator: to look at. What changes a run is a service, so nothing can be edited here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from metrics.models import CachedFile, Reference, Run, Score, Shard, Weights


class LookOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(LookOnly):
    list_display = ("id", "submission", "state", "samples", "automatic", "created_at", "finished_at")
    list_filter = ("state", "automatic")
    list_select_related = ("submission__checkpoint",)


@admin.register(Shard)
class ShardAdmin(LookOnly):
    list_display = ("run_id", "index", "state", "attempts", "worker", "lease_expires_at", "error")
    list_filter = ("state",)
    exclude = ("sample_ids",)


@admin.register(Score)
class ScoreAdmin(LookOnly):
    list_display = ("run_id", "metric", "state", "value", "n", "created_at")
    list_filter = ("metric", "state")


@admin.register(Reference)
class ReferenceAdmin(LookOnly):
    list_display = ("name", "study", "created_at")


@admin.register(Weights)
class WeightsAdmin(LookOnly):
    list_display = ("name", "model", "sha256", "available_at")


@admin.register(CachedFile)
class CachedFileAdmin(LookOnly):
    list_display = ("path", "study", "state", "size", "used_at")
    list_filter = ("state",)
    list_select_related = ("study",)
