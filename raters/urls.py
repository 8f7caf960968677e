"""Where raters compare."""

from django.urls import path

from raters import views

urlpatterns = [
    path("rate/<slug:slug>/", views.rate, name="rate"),
    path("rate/<slug:slug>/consent/", views.consent, name="consent"),
    path("rate/<slug:slug>/begin/", views.begin, name="begin"),
    path("rate/<slug:slug>/vote/", views.vote, name="vote"),
    path("rate/<slug:slug>/undo/", views.undo, name="undo"),
    path("rate/<slug:slug>/ahead/", views.ahead, name="ahead"),
    path("studies/<slug:slug>/progress/", views.progress, name="study_progress"),
    path("shown/<str:token>", views.shown, name="shown"),
]
