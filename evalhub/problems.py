"""Errors in one shape: a sentence for people, application/problem+json (RFC 9457) for programs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.defaults import page_not_found, server_error
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

PROBLEM = "application/problem+json"
NAMED = 20  # so many faults are named in a sentence
NOTHING = "There is nothing here that you may see; check the address, and that you are signed in as a member."
BROKEN = "The site failed at this request, which is its fault and is in its log; try again, or tell its operator."
TOO_MUCH = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)


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
    if isinstance(error, TOO_MUCH):
        return _problem(413, "The body has more bytes, fields or files than are taken at once; send it in parts.", {})
    if isinstance(error, RecursionError):  # of the parser: nothing of ours recurses over what was sent
        error = exceptions.ParseError("it is nested too deeply")
    response = exception_handler(error, context)
    if response is None:
        return None
    body = _problem(response.status_code, _sentence(error, response.data, context), _fields(error, response.data))
    for name, value in response.headers.items():
        if name.lower() not in {"content-type", "content-length"}:
            body.headers[name] = value
    return body


def unreadable(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to a request that is broken or too large.

    Django's own looks for a form token first, and so reads the body that cannot be read once more.
    """
    if _is_of_program(request):
        return _plain_problem(400, "This request cannot be read; check its host name, its headers and its body.")
    return render(request, "400.html", status=400)


def nothing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer at an address that is none."""
    return _plain_problem(404, NOTHING) if _is_of_program(request) else page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponse:
    """The answer when the site has failed; Django has logged with what."""
    if _is_of_program(request):
        return _plain_problem(500, BROKEN)
    return server_error(request)


def title(code: int) -> str:
    """A status in a word or two."""
    names = {401: "Not signed in", 403: "Not allowed", 413: "Too large", 422: "Not acceptable as it is"}
    return names.get(code) or HTTPStatus(code).phrase.capitalize()


def _is_of_program(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _problem(code: int, sentence: str, details: dict[str, Any]) -> Response:
    return Response(_body(code, sentence, details), status=code, content_type=PROBLEM)


def _plain_problem(code: int, sentence: str) -> HttpResponse:
    return JsonResponse(_body(code, sentence, {}), status=code, content_type=PROBLEM)


def _body(code: int, sentence: str, details: dict[str, Any]) -> dict[str, Any]:
    return {"type": "about:blank", "title": title(code), "status": code, "detail": sentence, **details}


def _sentence(error: Exception, data: Any, context: Mapping[str, Any]) -> str:
    if isinstance(error, Http404):
        return NOTHING
    if isinstance(error, PermissionDenied):
        return str(error) or "Your role in this study does not allow that; ask an owner of the study."
    if isinstance(error, exceptions.ValidationError):
        faults = sentences(data)
        more = f"; and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
        return "Some fields are not acceptable as they are: " + "; ".join(faults[:NAMED]) + more + "."
    if isinstance(error, exceptions.APIException):
        return _of_protocol(error, context)
    return str(error)


def _of_protocol(error: exceptions.APIException, context: Mapping[str, Any]) -> str:
    """What the framework found before the view was asked."""
    said = str(error.detail)
    if isinstance(error, exceptions.NotFound):
        return said if said != exceptions.NotFound.default_detail else NOTHING
    if isinstance(error, exceptions.NotAuthenticated):
        return "Nobody is signed in here; send the header `Authorization: Token evh_…` with a token of yours."
    if isinstance(error, exceptions.ParseError):
        return f"The body cannot be read ({said.rstrip('.')}); send it as the schema describes it."
    if isinstance(error, exceptions.MethodNotAllowed):
        taken = ", ".join(context["view"].allowed_methods)
        return f"This address does not take {context['request'].method}; it takes {taken}."
    if isinstance(error, exceptions.NotAcceptable):
        given = ", ".join(each.media_type for each in context["view"].get_renderers())
        return f"This address answers with {given}; ask for that in the header Accept, or leave it out."
    if isinstance(error, exceptions.UnsupportedMediaType):
        read = ", ".join(each.media_type for each in context["view"].get_parsers()) or "none"
        return f"A body of the type {context['request'].content_type[:100]} is not read here; send {read}."
    if isinstance(error, exceptions.Throttled):
        seconds = max(1, round(getattr(error, "wait", None) or 1))
        return f"That were too many requests in a short time; go on in {seconds:,} seconds."
    return said


def _fields(error: Exception, data: Any) -> dict[str, Any]:
    return {"fields": data} if isinstance(error, exceptions.ValidationError) and isinstance(data, dict) else {}


def sentences(data: Any, prefix: str = "") -> list[str]:
    """What is wrong with fields, a line each: its name and what is said of it."""
    if isinstance(data, dict):
        return [line for key, value in data.items() for line in sentences(value, f"{prefix}{key} ")]
    if isinstance(data, list):
        return [line for value in data for line in sentences(value, prefix)]
    return [f"{prefix.strip()}: {data}".lstrip(": ").rstrip(".")]
