"""Where raters compare, and where owners look at what they did."""

from django.urls import path

from raters import review_views, ship_views, views

urlpatterns = [
    path("rate/<slug:slug>/", views.rate, name="rate"),
    path("rate/<slug:slug>/consent/", views.consent, name="consent"),
    path("rate/<slug:slug>/begin/", views.begin, name="begin"),
    path("rate/<slug:slug>/vote/", views.vote, name="vote"),
    path("rate/<slug:slug>/undo/", views.undo, name="undo"),
    path("rate/<slug:slug>/ahead/", views.ahead, name="ahead"),
    path("studies/<slug:slug>/progress/", views.progress, name="study_progress"),
    path("studies/<slug:slug>/raters/", review_views.review, name="rater_review"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/exclude/", review_views.exclude, name="rater_exclude"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/group/", review_views.group, name="rater_group"),
    path("studies/<slug:slug>/ship/", ship_views.ship_tests, name="ship_tests"),
    path("studies/<slug:slug>/ship/<uuid:margin_id>/withdraw/", ship_views.withdraw, name="ship_test_withdraw"),
    path("shown/<str:token>", views.shown, name="shown"),
]
