"""Bodies of requests: none that is large is read for somebody who has not signed in, nor answered with a traceback."""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

MOST_FOR_STRANGERS = 2**20
"""Bytes: a form that a stranger or a rater fills in is far smaller, one that carries files far larger."""


class SignInBeforeLargeBodies:
    """Refuses a large form before the check of its token reads it. The API looks who asks before it reads anything."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _is_large(request) and not request.path.startswith("/api/") and not request.user.is_authenticated:
            return render(request, "400.html", status=413)
        return self.answer(request)


class WithoutTraceback(logging.Filter):
    """A request that does not do is a line in the log, without the way our code came to say so."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


def _is_large(request: HttpRequest) -> bool:
    return length(request) > MOST_FOR_STRANGERS


def length(request: HttpRequest) -> int:
    """Of its body, in bytes, as it says itself; 0 where it does not."""
    said = request.META.get("CONTENT_LENGTH") or ""
    return int(said[:18]) if said.isascii() and said.isdigit() else 0
