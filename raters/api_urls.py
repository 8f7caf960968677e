"""What programs can ask of raters and ship tests; raters themselves compare on pages."""

from django.urls import path

from raters.api import ExclusionView, RatersView, ShipTestsView
from raters.exports.views import CardView, ExportView

urlpatterns = [
    path("studies/<slug:slug>/raters/", RatersView.as_view(), name="raters"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/exclusion/", ExclusionView.as_view(), name="rater_exclusion"),
    path("studies/<slug:slug>/ship-tests/", ShipTestsView.as_view(), name="ship_tests"),
    path("studies/<slug:slug>/exports/card.md", CardView.as_view(), name="export_card"),
    path("studies/<slug:slug>/exports/<str:table>.<str:kind>", ExportView.as_view(), name="export"),
]
