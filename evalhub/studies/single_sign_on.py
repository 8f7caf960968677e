"""Who comes by the organisation's own sign-in (OpenID Connect)."""

from typing import Any

from allauth.account.utils import user_username
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.http import HttpRequest

from evalhub.studies.models import LogEntry, User


class Adapter(DefaultSocialAccountAdapter):
    """A first coming makes an account that may see nothing yet, if the operator wants accounts made; a rater's account
    or a team's is not taken over by a name that happens to be alike."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return bool(settings.OIDC_MAKES_ACCOUNTS)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        # What the provider calls her, else the part of her address before the @; allauth makes it unique.
        user_username(user, data.get("username") or (data.get("email") or "").partition("@")[0])
        return user

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        user: User = super().save_user(request, sociallogin, form)
        provider = sociallogin.account.provider
        LogEntry.write(study=None, actor=user, verb="came by single sign-on", subject=user, provider=provider)
        return user
