from django.apps import AppConfig


class LeaderboardConfig(AppConfig):
    name = "evalhub.leaderboard"
    label = "leaderboard"
