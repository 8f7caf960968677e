"""Pages."""

from django.urls import path, re_path

from evalhub.leaderboard import views

urlpatterns = [
    path("studies/<slug:slug>/", views.study_page, name="study"),
    re_path(
        r"^studies/(?P<slug>[-\w]+)/leaderboard\.(?P<kind>csv|json|svg|png)$",
        views.download,
        name="leaderboard_download",
    ),
]
