"""Who signs a request: the session behind its cookie and its user, each found by a statement planned once.

Every request of a signed-in person asks for both. They stay in the database alone, so signing out, a changed password
or a deactivated account ends a session at once, and no cache has to be there.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from evalhub.prepared import Prepared, Slot
from evalhub.studies.models import User

_live = Prepared(lambda: Session.objects.filter(session_key=Slot("key"), expire_date__gt=Slot("now")))
_user = Prepared(lambda: User.objects.filter(pk=Slot("pk")))


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        found = _live.first(key=self.session_key, now=timezone.now())
        if found is None:
            self._session_key = None
        return found


class Accounts(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        user = _user.first(pk=user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
