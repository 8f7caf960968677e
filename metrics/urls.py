"""Pages."""

from django.urls import path

from metrics import views

urlpatterns = [
    path("submissions/<uuid:submission_id>/runs/", views.submission_runs, name="submission_runs"),
    path("submissions/<uuid:submission_id>/runs/start/", views.run_start, name="run_start"),
    path("submissions/<uuid:submission_id>/duplicates/", views.submission_duplicates, name="submission_duplicates"),
    path("submissions/<uuid:submission_id>/duplicates/search/", views.duplicates_search, name="duplicates_search"),
    path("runs/<uuid:run_id>/", views.run, name="run"),
    path("runs/<uuid:run_id>/cancel/", views.run_cancel, name="run_cancel"),
    path("runs/<uuid:run_id>/retry/", views.run_retry, name="run_retry"),
]
