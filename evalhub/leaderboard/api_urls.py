"""API version 1."""

from django.urls import path

from evalhub.leaderboard.api import LeaderboardView

urlpatterns = [
    path(
        "studies/<slug:slug>/leaderboard/",
        LeaderboardView.as_view(),
        name="leaderboard",
    )
]
