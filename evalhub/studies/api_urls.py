"""Addresses of the API that speak of studies and submissions; evalhub.urls puts them under /api/v1/."""

from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter

from evalhub.studies import api, api_bundles, api_files
from evalhub.studies import api_webhooks as hooks


class Sha256Converter(StringConverter):
    regex = "[0-9a-f]{64}"


class DigestConverter(StringConverter):
    regex = "[0-9a-f]{1,128}"


register_converter(Sha256Converter, "sha256")
register_converter(DigestConverter, "digest")

urlpatterns: list[URLPattern] = [
    path("login/", api.LoginView.as_view(), name="login"),
    path("logout/", api.LogoutView.as_view(), name="logout"),
    path("tokens/", api.TokensView.as_view(), name="tokens"),
    path("tokens/<digest:token_id>/", api.TokenView.as_view(), name="token"),
    path("studies/", api.StudiesView.as_view(), name="studies"),
    path("studies/<slug:slug>/", api.StudyView.as_view(), name="study"),
    path("studies/<slug:slug>/quota/", api.QuotaView.as_view(), name="quota"),
    path("studies/<slug:slug>/prompts/", api.PromptsView.as_view(), name="prompts"),
    path("studies/<slug:slug>/submissions/", api.SubmissionsView.as_view(), name="submissions"),
    path("submissions/<uuid:submission_id>/", api.SubmissionView.as_view(), name="submission"),
    path("submissions/<uuid:submission_id>/complete/", api.CompleteView.as_view(), name="complete"),
    path("submissions/<uuid:submission_id>/withdraw/", api.WithdrawView.as_view(), name="withdraw"),
    path("submissions/<uuid:submission_id>/restore/", api.RestoreView.as_view(), name="restore"),
    path("submissions/<uuid:submission_id>/missing/", api_files.MissingView.as_view(), name="missing"),
    path("submissions/<uuid:submission_id>/files/", api_bundles.FilesView.as_view(), name="files"),
    path("submissions/<uuid:submission_id>/files/<sha256:sha256>/", api_files.FileView.as_view(), name="file"),
    path("studies/<slug:slug>/webhooks/", hooks.WebhooksView.as_view(), name="webhooks"),
    path("studies/<slug:slug>/webhooks/<uuid:webhook_id>/", hooks.WebhookView.as_view(), name="webhook"),
    path("studies/<slug:slug>/webhooks/<uuid:webhook_id>/ping/", hooks.WebhookPingView.as_view(), name="webhook_ping"),
    path(
        "studies/<slug:slug>/webhooks/<uuid:webhook_id>/calls/", hooks.WebhookCallsView.as_view(), name="webhook_calls"
    ),
]
