"""What programs can ask of raters and ship tests; raters themselves compare on pages."""

from django.urls import path

from raters.api import ExclusionView, RatersView, ShipTestsView
from raters.exports.views import CardView, ExportView
from raters.imports_api import (
    AddingView,
    CancellingView,
    TakingBackView,
    VoteFilesView,
    VoteFileView,
    VoteImportsView,
)
from raters.recruiting_api import RecruitmentClosureView, RecruitmentsView, VisitsView
from raters.reports_api import ReportsView
from raters.rules_api import AccountsView, KnownAnswersView, RetirementView, RulesView

urlpatterns = [
    path("studies/<slug:slug>/raters/", RatersView.as_view(), name="raters"),
    path("studies/<slug:slug>/raters/<uuid:rater_id>/exclusion/", ExclusionView.as_view(), name="rater_exclusion"),
    path("studies/<slug:slug>/known-answers/", KnownAnswersView.as_view(), name="known_answers"),
    path(
        "studies/<slug:slug>/known-answers/<int:gold_id>/retirement/",
        RetirementView.as_view(),
        name="known_answer_retirement",
    ),
    path("studies/<slug:slug>/rater-rules/", RulesView.as_view(), name="rater_rules"),
    path("studies/<slug:slug>/rater-accounts/", AccountsView.as_view(), name="rater_accounts"),
    path("studies/<slug:slug>/reports/", ReportsView.as_view(), name="reports"),
    path("studies/<slug:slug>/vote-imports/", VoteImportsView.as_view(), name="vote_imports"),
    path("studies/<slug:slug>/vote-imports/files/", VoteFilesView.as_view(), name="vote_files"),
    path("studies/<slug:slug>/vote-imports/files/<uuid:file_id>/", VoteFileView.as_view(), name="vote_file"),
    path(
        "studies/<slug:slug>/vote-imports/files/<uuid:file_id>/adding/", AddingView.as_view(), name="vote_file_adding"
    ),
    path(
        "studies/<slug:slug>/vote-imports/files/<uuid:file_id>/cancelling/",
        CancellingView.as_view(),
        name="vote_file_cancelling",
    ),
    path(
        "studies/<slug:slug>/vote-imports/<uuid:import_id>/taking-back/",
        TakingBackView.as_view(),
        name="vote_import_taking_back",
    ),
    path("studies/<slug:slug>/recruitments/", RecruitmentsView.as_view(), name="recruitments"),
    path(
        "studies/<slug:slug>/recruitments/<uuid:recruitment_id>/closure/",
        RecruitmentClosureView.as_view(),
        name="recruitment_closure",
    ),
    path(
        "studies/<slug:slug>/recruitments/<uuid:recruitment_id>/visits/",
        VisitsView.as_view(),
        name="recruitment_visits",
    ),
    path("studies/<slug:slug>/ship-tests/", ShipTestsView.as_view(), name="ship_tests"),
    path("studies/<slug:slug>/exports/card.md", CardView.as_view(), name="export_card"),
    path("studies/<slug:slug>/exports/<str:table>.<str:kind>", ExportView.as_view(), name="export"),
]
