"""What a request says, read strictly: what is misspelt, or of another type, is refused and not guessed at."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from evalhub.pages import Pages


class Body(serializers.Serializer):
    """The body of a request: fields of the types that the schema names, and no others."""

    def to_internal_value(self, data: Any) -> Any:
        # A form has texts only, and what it is to become is told by its fields.
        if isinstance(data, Mapping) and not isinstance(data, QueryDict):
            writable = {name: field for name, field in self.fields.items() if not field.read_only}
            faults = {name: [no_such("field", name, writable)] for name in data if name not in writable}
            for name, field in writable.items():
                if name in data and (fault := mistyped(field, data[name])):
                    faults[name] = [fault]
            if faults:
                raise ValidationError(faults)
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A text as it comes, blanks and all. The schema says what it looks like; who uses it says what is wrong with it.

    Args: pattern: a regular expression.
    """

    def __init__(self, pattern: str = "", **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | options)
        self.pattern = pattern


class Query(serializers.Serializer):
    """The parameters that an address takes after its question mark: texts, of which some are to be numbers."""

    def to_internal_value(self, data: Any) -> Any:
        faults = {
            name: [f"Expected {said} and got “{data[name][:30]}”."]
            for name, field in self.fields.items()
            for kind, shape, said in NUMERALS
            if name in data and isinstance(field, kind) and not shape.fullmatch(data[name])
        }
        if faults:
            raise ValidationError(faults)
        return super().to_internal_value(data)


NUMERALS = (
    (serializers.IntegerField, re.compile("-?[0-9]{1,30}"), "a whole number"),
    (serializers.FloatField, re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?"), "a number"),
)


class NoQuery(Query):
    """None."""


class View(GenericAPIView):
    """A view of the API. `queries` has, by method, the parameters that it takes; `asked` what they say."""

    queries: ClassVar[Mapping[str, type[Query]]] = {}
    asked: Mapping[str, Any] = {}
    pagination_class: type[Pages] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = "GET" if request.method == "HEAD" else str(request.method)
        if hasattr(self, method.lower()):  # else nothing but that is said
            self.asked = self._read(method, request.query_params)

    def _read(self, method: str, said: QueryDict) -> Mapping[str, Any]:
        query = self.queries.get(method, NoQuery)()
        paged = self.paging if method == "GET" else ()
        known = [*query.fields, *paged]
        faults = {name: [no_such("parameter", name, known)] for name in said if name not in known}
        for name in known:
            values = said.getlist(name)
            if len(values) > 1:
                faults[name] = [f"Give it once; it came {len(values):,} times."]
        if faults:
            raise ValidationError(faults)
        # A plain mapping: of a form, what is not there would count as false.
        asked = type(query)(data={name: said[name] for name in said if name not in paged})
        asked.is_valid(raise_exception=True)
        return cast("Mapping[str, Any]", asked.validated_data)

    def page(self, rows: Any, shape: type[serializers.BaseSerializer], **context: Any) -> Response:
        """One page of a list, as the request asks for it."""
        found: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(shape(found, many=True, context=context).data)

    @property
    def paging(self) -> tuple[str, ...]:
        """The parameters of its list's pages, if it is one."""
        if self.pagination_class is None:
            return ()
        return (self.pagination_class.cursor_query_param, self.pagination_class.page_size_query_param)


def no_such(what: str, name: str, known: Any) -> str:
    names = ", ".join(known)
    return f"There is no such {what}; " + (f"known are {names}." if names else "nothing is asked for here.")


def mistyped(field: serializers.Field, value: Any) -> str:
    """A sentence when JSON's type of a value is none that the field's schema names; null is the field's to judge."""
    if value is None:
        return ""
    expected, fits = next(((said, fits) for kinds, said, fits in EXPECTED if isinstance(field, kinds)), ("", None))
    return f"Expected {expected} and got {_kind(value)}." if fits and not fits(value) else ""


def _is_number(value: Any) -> bool:
    """One that a float holds."""
    try:
        return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


EXPECTED: tuple[tuple[Any, str, Callable[[Any], bool]], ...] = (
    (serializers.BooleanField, "true or false", lambda value: isinstance(value, bool)),
    (serializers.IntegerField, "a whole number", lambda value: _is_number(value) and isinstance(value, int)),
    (serializers.FloatField, "a number", _is_number),
    (
        (
            serializers.CharField,
            serializers.ChoiceField,
            serializers.DateTimeField,
            serializers.DecimalField,
            serializers.UUIDField,
        ),
        "a text",
        lambda value: isinstance(value, str),
    ),
)


def _kind(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number" if _is_number(value) else "a number that is too large"
    names = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
