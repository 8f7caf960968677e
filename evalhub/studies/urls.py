"""Pages, grouped by what they are about."""

from django.contrib.auth import views as auth_views
from django.urls import URLPattern, URLResolver, include, path, reverse_lazy
from django.views.generic import RedirectView
from django.views.i18n import set_language

from evalhub.studies.views import (
    accounts,
    gallery,
    log,
    media,
    members,
    prompts,
    settings,
    studies,
    submissions,
    submit,
    tokens,
    webhooks,
)

_accounts: list[URLPattern | URLResolver] = [
    path("setup/", accounts.setup, name="setup"),
    path("theme/", accounts.theme, name="theme"),
    path("language/", set_language, name="set_language"),
    path("accounts/login/", accounts.SignIn.as_view(), name="login"),
    # The names by which allauth asks for pages of ours and its own.
    path("accounts/login/", accounts.SignIn.as_view(), name="account_login"),
    path("accounts/sso/", include("allauth.socialaccount.urls")),
    path("accounts/oidc/<str:provider_id>/login/", accounts.single_sign_on),
    path("accounts/", include("allauth.socialaccount.providers.openid_connect.urls")),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("accounts/password/", accounts.PasswordChange.as_view(), name="password_change"),
    path("accounts/reset/", accounts.PasswordReset.as_view(), name="password_reset"),
    path("accounts/reset/sent/", accounts.PasswordResetDone.as_view(), name="password_reset_done"),
    path(
        "accounts/reset/<uidb64>/<token>/",
        auth_views.PasswordResetConfirmView.as_view(success_url=reverse_lazy("password_reset_complete")),
        name="password_reset_confirm",
    ),
    path("accounts/reset/done/", auth_views.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/revoke/", tokens.revoke_token, name="token_revoke"),
]

_studies = [
    path("studies/", studies.studies, name="studies"),
    # Not below /studies/: a study may be called “new”.
    path("new-study/", studies.study_create, name="study_create"),
    path("studies/<slug:slug>/settings/", settings.study_settings, name="study_settings"),
    path("studies/<slug:slug>/settings/<slug:section>/", settings.study_section, name="study_section"),
    path("studies/<slug:slug>/questions/", settings.study_questions, name="study_questions"),
    path("studies/<slug:slug>/state/", settings.study_state, name="study_state"),
    path("studies/<slug:slug>/contestants/", settings.study_contestants, name="study_contestants"),
    path("studies/<slug:slug>/log/", log.log, name="study_log"),
    path("studies/<slug:slug>/log/sheet/", log.log_sheet, name="study_log_sheet"),
    path("log/", log.log, name="site_log"),
    path("log/sheet/", log.log_sheet, name="site_log_sheet"),
    path("studies/<slug:slug>/media/<int:media_id>/", media.media, name="media"),
]

_prompts = [
    path("studies/<slug:slug>/prompts/", prompts.prompts, name="prompts"),
    path("studies/<slug:slug>/prompts/add/", prompts.prompts_add, name="prompts_add"),
    path("studies/<slug:slug>/prompts/type/", prompts.prompt_type, name="prompt_type"),
    path("studies/<slug:slug>/prompts/waiting/", prompts.prompts_waiting, name="prompts_waiting"),
    path("studies/<slug:slug>/prompts/remove/", prompts.prompts_remove, name="prompts_remove"),
]

_members = [
    path("studies/<slug:slug>/members/", members.members, name="members"),
    path("studies/<slug:slug>/members/<int:user_id>/role/", members.member_role, name="member_role"),
    path("studies/<slug:slug>/members/<int:user_id>/remove/", members.member_remove, name="member_remove"),
    path("studies/<slug:slug>/invites/", members.invite_create, name="invite_create"),
    path("studies/<slug:slug>/invites/<int:invite_id>/revoke/", members.invite_revoke, name="invite_revoke"),
    path("join/<str:token>/", members.join, name="join"),
]

_submissions = [
    path("studies/<slug:slug>/submissions/", submissions.submissions, name="submissions"),
    path("studies/<slug:slug>/gallery/", gallery.gallery, name="gallery"),
    path("studies/<slug:slug>/submit/", submit.submit, name="submit"),
    path("studies/<slug:slug>/submit/layout/", submit.submit_layout, name="submit_layout"),
    path("submissions/<uuid:submission_id>/", submissions.submission, name="submission"),
    path("submissions/<uuid:submission_id>/withdraw/", submissions.withdraw, name="withdraw"),
    path("submissions/<uuid:submission_id>/restore/", submissions.restore, name="restore"),
]

_webhooks = [
    path("studies/<slug:slug>/webhooks/", webhooks.webhooks, name="webhooks"),
    path("studies/<slug:slug>/webhooks/<uuid:webhook_id>/", webhooks.webhook_change, name="webhook_change"),
    path("studies/<slug:slug>/webhooks/calls/<uuid:call_id>/", webhooks.webhook_send_again, name="webhook_send_again"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="studies"), name="home"),
    *_accounts,
    *_studies,
    *_prompts,
    *_members,
    *_submissions,
    *_webhooks,
]
