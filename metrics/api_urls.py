"""API version 1."""

from django.urls import path

from metrics.api import CancelView, MetricsView, RetryView, RunsView, RunView
from metrics.duplicates_api import DuplicatePairsView, DuplicatesView
from metrics.references_api import ReferenceImageView, ReferencesView

urlpatterns = [
    path("studies/<slug:slug>/references/", ReferencesView.as_view(), name="references"),
    path("studies/<slug:slug>/reference-images/<sha256:sha256>/", ReferenceImageView.as_view(), name="reference_image"),
    path("submissions/<uuid:submission_id>/duplicates/", DuplicatesView.as_view(), name="duplicates"),
    path("submissions/<uuid:submission_id>/duplicates/pairs/", DuplicatePairsView.as_view(), name="duplicate_pairs"),
    path("submissions/<uuid:submission_id>/metrics/", MetricsView.as_view(), name="submission_metrics"),
    path("submissions/<uuid:submission_id>/runs/", RunsView.as_view(), name="submission_runs"),
    path("runs/<uuid:run_id>/", RunView.as_view(), name="run"),
    path("runs/<uuid:run_id>/cancel/", CancelView.as_view(), name="run_cancel"),
    path("runs/<uuid:run_id>/retry/", RetryView.as_view(), name="run_retry"),
]
