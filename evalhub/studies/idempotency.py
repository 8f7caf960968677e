"""`Idempotency-Key`: a request that was answered once is answered the same again, and what it does is done once."""

import functools
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.problems import Refusal
from evalhub.studies.access import Actor
from evalhub.studies.models import IdempotencyKey

HEADER = "Idempotency-Key"
LIFE = timedelta(days=1)
LONGEST = 200

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Let a view's method be asked again with the same key: it gets the first answer, with `Idempotency-Replayed`.

    What the handler does, and its answer, are committed together: a server that is killed has done nothing. Of two
    requests with one key at once, the second waits for the first. A refusal is not kept, so the key may be used again.
    Keys are each user's own and expire after a day. Without the header nothing is different.
    """

    @extend_schema(
        parameters=[
            OpenApiParameter(
                HEADER,
                str,
                OpenApiParameter.HEADER,
                description=f"Up to {LONGEST} characters of your choice; the same request with the same key is done "
                "once within a day.",
                pattern=f"^[!-~]([ -~]{{0,{LONGEST - 2}}}[!-~])?$",  # blanks around a header are no part of it
            )
        ]
    )
    @functools.wraps(handler)
    def once(view: Any, request: Request, *arguments: Any, **named: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *arguments, **named)
        if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            raise Refusal(f"An {HEADER} is 1 to {LONGEST} printable ASCII characters; this one has {len(key):,}.")
        user, fingerprint = Actor.of(request).user, _fingerprint(request)
        try:
            with transaction.atomic():
                IdempotencyKey.objects.filter(created_at__lt=timezone.now() - LIFE).delete()
                row = IdempotencyKey.objects.create(user=user, key=key, fingerprint=fingerprint)
                response = handler(view, request, *arguments, **named)
                row.status, row.body = response.status_code, JSONRenderer().render(response.data).decode()
                row.save(update_fields=["status", "body"])
                return response
        except IntegrityError:
            earlier = IdempotencyKey.objects.filter(user=user, key=key).first()
            if earlier is None:  # the conflict was of something else
                raise
        return _again(earlier, fingerprint)

    return once


def _again(earlier: IdempotencyKey, fingerprint: str) -> Response:
    if earlier.fingerprint != fingerprint:
        raise Refusal(
            f"The {HEADER} “{earlier.key}” was used for another request; choose a new one for each thing that is to be "
            "done."
        )
    return Response(json.loads(earlier.body), status=earlier.status, headers={"Idempotency-Replayed": "true"})


def _fingerprint(request: Request) -> str:
    asked = json.dumps([request.method, request.path, request.data], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()
