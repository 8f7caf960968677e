"""How often one person may ask for what: so many in a window of time, counted in Redis for all web nodes together."""

import functools
import logging
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

log = logging.getLogger(__name__)


@functools.cache
def _redis() -> redis.Redis:
    # Once more, for a connection that a restart has closed; a request does not wait for a Redis that is away.
    once_more = Retry(NoBackoff(), 1)
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=once_more)


class Rates(SimpleRateThrottle):
    """Counts by the scope that the view names (`rate`, or `rates` by method), else whether it reads or writes.

    People are told apart by their account, whatever token they sign with, and strangers by their address. A window
    begins with its first request; its count is one round trip, however many requests it has seen. While Redis is away
    nobody is held up.
    """

    def __init__(self) -> None:
        # The scope is known with the request, and the rate with the scope.
        self.left = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = self.scope_of(request, view)
        most, seconds = self.parse_rate(str(self.THROTTLE_RATES[scope]))
        if most is None or seconds is None:
            return True
        key = f"evalhub:rate:{scope}:{self._who(request, scope)}"
        try:
            count, self.left = _count(key, seconds)
        except redis.RedisError as error:
            log.warning("Requests are not counted: %s", error)
            return True
        return count <= most

    def wait(self) -> float:
        return self.left

    def scope_of(self, request: Request, view: Any) -> str:
        named = getattr(view, "rates", {}).get(request.method) or getattr(view, "rate", None)
        if named:
            return str(named)
        if not request.user.is_authenticated:
            return "stranger"
        return "read" if request.method in SAFE else "write"

    def _who(self, request: Request, scope: str) -> str:
        if scope != "login" and request.user.is_authenticated:
            return str(request.user.pk)
        return self.get_ident(request)


def _count(key: str, seconds: int) -> tuple[int, float]:
    """How often it was asked for in its window, this time included, and for how many seconds that still lasts."""
    with _redis().pipeline() as together:
        together.set(key, 0, ex=seconds, nx=True)
        together.incr(key)
        together.pttl(key)
        _, count, left = together.execute()
    return int(count), max(1.0, left / 1000)
