"""Errors in one shape: a sentence for people, application/problem+json (RFC 9457) for programs."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

NAMED = 20  # so many faults are named in a sentence


class Refusal(Exception):
    """A request that cannot be done, said in one full sentence: what was expected, what came, what to do."""

    status = 422

    def __init__(self, sentence: str, **details: Any) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = details


class Conflict(Refusal):
    """The request is well formed, but the thing it speaks of is no longer in the state it expects."""

    status = 409


class NotNeeded(Conflict):
    """What the request brings will not be wanted later either; sending it again is of no use."""

    status = 410


class TooLarge(Refusal):
    """More bytes than the site takes."""

    status = 413


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into problem+json; what is not known here stays a 500."""
    if isinstance(error, Refusal):
        return _problem(error.status, error.sentence, error.details)
    if isinstance(error, RecursionError):  # of the parser: nothing of ours recurses over what was sent
        error = exceptions.ParseError("it is nested too deeply")
    response = exception_handler(error, context)
    if response is None:
        return None
    body = _problem(response.status_code, _sentence(error, response.data), _fields(error, response.data))
    for name, value in response.headers.items():
        if name.lower() not in {"content-type", "content-length"}:
            body.headers[name] = value
    return body


def unreadable(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for a request that is broken or too large.

    Django's own looks for a form token first, and so reads the body that cannot be read once more.
    """
    return render(request, "400.html", status=400)


def _problem(code: int, sentence: str, details: dict[str, Any]) -> Response:
    title = {409: "Conflict", 413: "Too large", 422: "Not acceptable as it is"}.get(code) or _title(code)
    body = {"type": "about:blank", "title": title, "status": code, "detail": sentence, **details}
    return Response(body, status=code, content_type="application/problem+json")


def _title(code: int) -> str:
    names = {401: "Not signed in", 403: "Not allowed"}
    return names.get(code) or HTTPStatus(code).phrase.capitalize()


def _sentence(error: Exception, data: Any) -> str:
    if isinstance(error, Http404 | exceptions.NotFound):
        return "There is nothing here that you may see; check the address, and that you are signed in as a member."
    if isinstance(error, PermissionDenied):
        return str(error) or "Your role in this study does not allow that; ask an owner of the study."
    if isinstance(error, exceptions.ValidationError):
        faults = sentences(data)
        more = f"; and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
        return "Some fields are not acceptable as they are: " + "; ".join(faults[:NAMED]) + more + "."
    if isinstance(error, exceptions.ParseError):
        return f"The body cannot be read ({error.detail}); send it as JSON."
    return str(getattr(error, "detail", error))


def _fields(error: Exception, data: Any) -> dict[str, Any]:
    return {"fields": data} if isinstance(error, exceptions.ValidationError) else {}


def sentences(data: Any, prefix: str = "") -> list[str]:
    """What is wrong with fields, a line each: its name and what is said of it."""
    if isinstance(data, dict):
        return [line for key, value in data.items() for line in sentences(value, f"{prefix}{key} ")]
    if isinstance(data, list):
        return [line for value in data for line in sentences(value, prefix)]
    return [f"{prefix.strip()}: {data}".lstrip(": ").rstrip(".")]
