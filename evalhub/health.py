"""What a load balancer and a monitor ask."""

import logging

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_prometheus.exports import ExportToDjangoView
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


def alive(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "alive"})


def ready(request: HttpRequest) -> HttpResponse:
    """The process can do its work: the database answers and is migrated, Redis answers."""
    problems = []
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            problems.append("The database lacks migrations; run `manage.py migrate`.")
    except DatabaseError:
        log.warning("PostgreSQL did not answer the readiness check.", exc_info=True)
        problems.append("PostgreSQL does not answer.")
    try:
        cache.get("ready")
    except (RedisError, OSError):
        log.warning("Redis did not answer the readiness check.", exc_info=True)
        problems.append("Redis does not answer.")
    return JsonResponse(
        {"status": "ready" if not problems else "not ready", "problems": problems}, status=503 if problems else 200
    )


def numbers(request: HttpRequest) -> HttpResponse:
    """Prometheus."""
    return ExportToDjangoView(request)
