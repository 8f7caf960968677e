"""API tokens: knox's, with sentences for errors and a note of when each was last used."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request

from evalhub.studies.access import ONLY_READS
from evalhub.studies.models import ApiToken, TokenScope, User

# A training job sends thousands of requests; one note a minute tells as much as one for each.
NOTE_EVERY = timedelta(minutes=1)
INVALID = "This token opens nothing: it has expired, was revoked, or never was one; get a new one with `evalhub login`."


class TokenAuthentication(KnoxTokenAuthentication):
    """`Authorization: Token evh_…`."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiToken]:
        if not token.isascii():
            raise AuthenticationFailed(INVALID)
        try:
            user, found = super().authenticate_credentials(token)
        except AuthenticationFailed:
            raise AuthenticationFailed(INVALID) from None
        now = timezone.now()
        if found.last_used_at is None or now - found.last_used_at > NOTE_EVERY:
            ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
        return user, found


class Allowed(IsAuthenticated):
    """Whoever is signed in; a token that only reads gets past no method that writes, whatever the view looks at."""

    def has_permission(self, request: Request, view: Any) -> bool:
        writes = request.method not in SAFE_METHODS and not getattr(view, "is_for_reading_tokens_too", False)
        if writes and isinstance(request.auth, ApiToken) and request.auth.scope == TokenScope.READ:
            raise PermissionDenied(ONLY_READS)
        return bool(super().has_permission(request, view))


class TokenScheme(KnoxTokenScheme):
    """How the OpenAPI schema describes it."""

    target_class = "evalhub.studies.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word `Token`, a space, and a token: `Token evh_…`. One of the scope “Read” only reads.",
        }
