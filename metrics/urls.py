"""Pages."""

from django.urls import path

from metrics import views

urlpatterns = [
    path("submissions/<uuid:submission_id>/runs/", views.submission_runs, name="submission_runs"),
    path("submissions/<uuid:submission_id>/runs/start/", views.run_start, name="run_start"),
    path("runs/<uuid:run_id>/", views.run, name="run"),
    path("runs/<uuid:run_id>/cancel/", views.run_cancel, name="run_cancel"),
    path("runs/<uuid:run_id>/retry/", views.run_retry, name="run_retry"),
]
