"""How the OpenAPI schema describes what every operation shares: its problems, its parameters, its strictness."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from evalhub.asking import Body, Query
from evalhub.problems import BROKEN, NOTHING, PROBLEM, title

# What each status means here, and what is said then.
PROBLEMS = {
    400: (
        "The request does not fit this schema: a parameter or field is unknown, missing or of another type.",
        "Some fields are not acceptable as they are: name: This field is required.",
    ),
    401: (
        "Nobody is signed in, or the token opens nothing.",
        "This token opens nothing: it has expired, was revoked, or never was one; get a new one with `evalhub login`.",
    ),
    403: (
        "Your role in the study, or your token's scope, does not reach.",
        "Submitting outputs takes the role researcher or owner; yours is viewer.",
    ),
    404: (
        "There is nothing there that you may see.",
        NOTHING,
    ),
    406: (
        "The request accepts none of the types that this address answers with.",
        "This address answers with application/json; ask for that in the header Accept, or leave it out.",
    ),
    409: (
        "The request is well formed, and what it speaks of is not in the state for it.",
        "The study called “faces” exists already; choose another name.",
    ),
    410: (
        "What the request brings will not be wanted later either.",
        "This submission is complete; send other outputs as another checkpoint.",
    ),
    411: ("A body came without its length.", "A file is sent with a Content-Length; send it again with its size."),
    413: ("The body is too large.", "The body has 70,000,000 bytes, and at most 67,108,864 are taken."),
    415: (
        "The body is of a type that this address does not read.",
        "A body of the type text/plain is not read here; send application/json.",
    ),
    422: (
        "The request is well formed, and what it says does not do: it names what is not there, or contradicts itself.",
        "The study has no criterion “colour”; it has overall, prompt.",
    ),
    429: (
        "Too many requests; the header `Retry-After` says for how many seconds to wait.",
        "That were too many requests in a short time; go on in 12 seconds.",
    ),
    500: ("A fault of the site.", BROKEN),
    507: ("The site has no room left.", "The site has no room left for this file; tell its operator."),
}


INTRODUCTION = """
Submit a checkpoint's outputs, follow their scoring, read the leaderboard, take preferences home.

**Signing in.** Send the header `Authorization: Token evh_…`. A token is made by `POST /api/v1/login/`, by
`evalhub login` or on the page *API tokens*; it expires, may be bound to one study, and with the scope *Read* gets past
no method that writes. What it opens is what your role in each study opens: owner, researcher, viewer or rater.

**Versions.** Addresses begin with the version, `/api/v1/`. Within it fields and parameters are added, never renamed or
taken away: be prepared for fields that you do not know.

**Lists** come in pages: `results`, and in `next` and `previous` the addresses of the neighbouring pages, or null.
`page_size` says how many at most. A cursor is only to be followed, not to be read or made. The other parameters of a
list narrow it.

**Strictness.** An unknown parameter or field, a parameter given twice, and a value of another type are refused, so that
nothing misspelt is silently left out. A request that does not fit this schema is answered with 400, one that does and
names what is not there, or contradicts itself, with 422, and one that comes at the wrong time with 409.

**Problems** are `application/problem+json` (RFC 9457) at every address below `/api/`; `detail` is one full sentence
that says what was expected, what came, and what to do.

**Rates.** Each account has so many requests in a window of time: apart for reading, writing, files, exports and what
has to be computed; strangers and log-ins are counted by address. One too many is answered with 429 and, in
`Retry-After`, the seconds to wait.

**Once.** `Idempotency-Key`, where it is a parameter, makes a request that is sent twice be done once.
"""


def introduce(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """What holds for every operation, before the first of them."""
    result["info"]["description"] = INTRODUCTION.strip()
    return result


def refused(*codes: int) -> dict[int, OpenApiResponse]:
    """For `responses`: with which problems of its own an operation answers, beside those of every operation."""
    return {code: OpenApiResponse(description=PROBLEMS[code][0]) for code in codes}


def example(*, told: Any = None, asked: Any = None, media_type: str = "application/json") -> Callable[[Any], Any]:
    """Give a serializer an example of what it answers with, and of what it is asked with."""
    answers = ["200", "201", "202"]
    answer = OpenApiExample("Answer", told, media_type=media_type, status_codes=answers, response_only=True)
    request = OpenApiExample("Request", asked, media_type=media_type, request_only=True)
    return extend_schema_serializer(examples=[one for one in (answer, request) if one.value is not None])


class Schema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        query = getattr(self.view, "queries", {}).get(self.method)
        return [*super().get_override_parameters(), *([query] if query else [])]

    def get_summary(self) -> str | None:
        """The first sentence, which a closed operation shows beside its address."""
        return super().get_summary() or _beginning(self.get_description())

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        described: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._problems_of_all():
            described.setdefault(str(code), {"description": PROBLEMS[code][0]})
        for status, response in described.items():
            if status >= "400":
                response.update(self._problem(int(status)))
        return {status: described[status] for status in sorted(described)}

    def _problems_of_all(self) -> list[int]:
        """Those that this operation can answer with like any other."""
        codes = [400, 406, 429, 500]
        if self.get_auth() != []:
            codes += [401, 403]
        if "{" in self.path or self._get_pagination_parameters():
            codes.append(404)
        if self.method in ("POST", "PUT", "PATCH") and self.get_request_serializer() is not None:
            codes += [413, 415]
        return codes

    def _problem(self, code: int) -> dict[str, Any]:
        component = ResolvedComponent("Problem", ResolvedComponent.SCHEMA, SHAPE, "Problem")
        self.registry.register_on_missing(component)
        said = {"type": "about:blank", "title": title(code), "status": code, "detail": PROBLEMS[code][1]}
        content = {PROBLEM: {"schema": component.ref, "examples": {"Problem": {"value": said}}}}
        waits = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
        return {"content": content} | ({"headers": waits} if code == 429 else {})

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        shape = super()._map_basic_serializer(serializer, direction)
        if direction == "request" and isinstance(serializer, Body | Query):
            for name, field in serializer.fields.items():
                if isinstance(field, serializers.CharField) and name in shape["properties"]:
                    _say_what_is_taken(field, shape["properties"][name])
            if isinstance(serializer, Body):
                shape["additionalProperties"] = False
        return shape


def _beginning(description: str) -> str:
    """Its first sentence, or what of it says enough."""
    return description.partition("\n")[0].partition(". ")[0].partition("; ")[0].rstrip(".")


def _say_what_is_taken(field: serializers.CharField, schema: dict[str, Any]) -> None:
    """Of a text: nothing that a database cannot hold, and not only blanks where they are trimmed."""
    if set(schema) <= PLAIN:
        filled = field.trim_whitespace and not field.allow_blank
        schema["pattern"] = getattr(field, "pattern", "") or (FILLED if filled else ANY)


ANY, FILLED = r"^[^\u0000]*$", r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
PLAIN = frozenset({"type", "minLength", "maxLength", "default", "description", "title", "nullable", "writeOnly"})

SHAPE = {
    "type": "object",
    "description": "What went wrong: RFC 9457. Some problems say more in fields of their own.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "One full sentence: what was expected, what came, what to do."},
        "fields": {"type": "object", "description": "By name, what is wrong with each.", "additionalProperties": {}},
    },
    "required": ["type", "title", "status", "detail"],
}
