"""Lists of the API: a page at a time, and the address of the next."""

from collections.abc import Sequence
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

MOST = 1000
STRANGE_CURSOR = "This cursor is of no page of this list; take the list from its beginning, without one."


class Pages(CursorPagination):
    """A page begins after the last row of the one before it, so that rows which come or go meanwhile move nothing.

    A cursor says where its page begins. It is signed for its own list, so that nobody makes one up: what it says goes
    into a query as it is.
    """

    page_size = 100
    max_page_size = MOST
    page_size_query_param = "page_size"
    page_size_query_description = "How many at most."
    request: Request
    base_url: str
    cursor_query_description = "From `next` or `previous` of another page; without one the list begins."

    def get_page_size(self, request: Request) -> int:
        """Raises: ValidationError for what is no such number."""
        said = request.query_params.get(self.page_size_query_param)
        if said is None:
            return self.page_size
        if said.isascii() and said.isdigit() and len(said) < 10 and 0 < int(said) <= self.max_page_size:
            return int(said)
        asked = f"Expected a whole number from 1 to {self.max_page_size:,} and got “{said[:30]}”."
        raise ValidationError({self.page_size_query_param: [asked]})

    def encode_cursor(self, cursor: Cursor) -> str:
        said = signing.dumps([cursor.offset, cursor.reverse, cursor.position], salt=self.request.path)
        return replace_query_param(self.base_url, self.cursor_query_param, said)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raises: NotFound for a cursor that is none of this list's."""
        said = request.query_params.get(self.cursor_query_param)
        if said is None:
            return None
        try:
            offset, reverse, position = signing.loads(said, salt=request.path)
        except (signing.BadSignature, UnicodeEncodeError):
            raise NotFound(STRANGE_CURSOR) from None
        return Cursor(offset=offset, reverse=reverse, position=position)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        shape: dict[str, Any] = super().get_paginated_response_schema(schema)
        shape["required"] = ["next", "previous", "results"]
        for name in ("next", "previous"):
            shape["properties"][name]["example"] = None
        return shape

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters = super().get_schema_operation_parameters(view)
        cursor, size = (parameter["schema"] for parameter in parameters)
        cursor |= {"minLength": 1}
        size |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return parameters


class CountedPages(Pages):
    """Of rows that are put together or ordered as they are asked for: a page begins after so many."""

    def paginate_queryset(
        self, queryset: Sequence[Any] | QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any]:
        self.request, self.base_url = request, request.build_absolute_uri()
        self.size, cursor = self.get_page_size(request), self.decode_cursor(request)
        self.start = cursor.offset if cursor else 0
        found = list(queryset[self.start : self.start + self.size + 1])
        self.has_next = len(found) > self.size
        return found[: self.size]

    def get_next_link(self) -> str | None:
        return self._at(self.start + self.size) if self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._at(max(0, self.start - self.size)) if self.start else None

    def _at(self, start: int) -> str:
        return self.encode_cursor(Cursor(offset=start, reverse=False, position=None))
