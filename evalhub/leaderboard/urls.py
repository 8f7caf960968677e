"""Pages."""

from django.urls import path, re_path

from evalhub.leaderboard import views

urlpatterns = [
    path("studies/<slug:slug>/", views.study_page, name="study"),
    path("studies/<slug:slug>/delete/", views.study_delete, name="study_delete"),
    path("studies/<slug:slug>/archive.tar", views.study_archive, name="study_archive"),
    path("studies/<slug:slug>/leaderboard/fit/", views.ask_for_fit, name="leaderboard_fit"),
    path("studies/<slug:slug>/compare/", views.compare_page, name="compare"),
    path("studies/<slug:slug>/leaderboard/<slug:section>/", views.section_page, name="leaderboard_section"),
    re_path(
        r"^studies/(?P<slug>[-\w]+)/leaderboard\.(?P<kind>csv|json|parquet|tex|svg|png)$",
        views.download,
        name="leaderboard_download",
    ),
    re_path(
        r"^studies/(?P<slug>[-\w]+)/leaderboard/(?P<section>[-\w]+)\.(?P<kind>csv|svg|png)$",
        views.download_section,
        name="leaderboard_section_download",
    ),
]
