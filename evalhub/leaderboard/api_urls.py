"""API version 1."""

from django.urls import path

from evalhub.leaderboard.api import CurvesView, HeadToHeadView, LeaderboardView

urlpatterns = [
    path("studies/<slug:slug>/leaderboard/", LeaderboardView.as_view(), name="leaderboard"),
    path("studies/<slug:slug>/leaderboard/head-to-head/", HeadToHeadView.as_view(), name="head_to_head"),
    path("studies/<slug:slug>/leaderboard/curves/", CurvesView.as_view(), name="curves"),
]
