"""Statements asked so often that composing and planning them would take most of their time.

Django composes a queryset anew whenever it is asked, and PostgreSQL plans the statement anew: for a row or two by their
keys that is ten times the work of finding them. Here a process composes each once, and a connection plans it once.
Only for what every vote or request asks; anywhere else a queryset is the simpler thing.
"""

import itertools
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.models import Expression, Field, QuerySet
from django.db.models.query import get_related_populators

Found = TypeVar("Found")
Rows = Callable[[list[tuple[Any, ...]]], list[Found]]

_planned: "WeakKeyDictionary[Any, set[str]]" = WeakKeyDictionary()  # by connection: the names it knows
_numbers = itertools.count(1)


class Statement:
    """One statement in SQL with named values, `%(name)s`; each of a type that PostgreSQL sees from where it stands."""

    def __init__(self, sql: str) -> None:
        self._names: list[str] = []
        self._numbered = re.sub(r"%\((\w+)\)s", self._number, sql)
        self._name = f"evalhub_{next(_numbers)}"
        given = f" ({', '.join(['%s'] * len(self._names))})" if self._names else ""
        self._execute = f"EXECUTE {self._name}{given}"

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows that it returns."""
        with connection.cursor() as cursor:
            self._plan(cursor)
            cursor.execute(self._execute, [values[name] for name in self._names])
            return cursor.fetchall() if cursor.description else []

    def _plan(self, cursor: Any) -> None:
        known = _planned.setdefault(connection.connection, set())
        if self._name not in known:
            cursor.execute(f"PREPARE {self._name} AS {self._numbered}")
            known.add(self._name)

    def _number(self, found: re.Match[str]) -> str:
        if found[1] not in self._names:
            self._names.append(found[1])
        return f"${self._names.index(found[1]) + 1}"


class Slot(Expression):
    """Stands in a queryset for a value that each asking brings. `of`: its type, where nothing beside it says that."""

    def __init__(self, name: str, of: str = "") -> None:
        super().__init__(output_field=Field())
        self.sql = f"%({name})s::{of}" if of else f"%({name})s"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return self.sql, []


def any_of(name: str, of: str) -> Expression:
    """For `__in`: one of the values of a list, which are of that type."""
    slot = Slot(name, f"{of}[]")
    slot.sql = f"(SELECT unnest({slot.sql}))"
    return slot


class Prepared(Generic[Found]):
    """A queryset with slots: `Prepared(lambda: Rater.objects.filter(user=Slot("user")))(user=7)`.

    Its objects come as of the queryset, with what `select_related` adds, and so do tuples of `values_list`; but not
    prefetched or annotated values.
    """

    def __init__(self, compose: Callable[[], QuerySet[Any, Found]]) -> None:
        self._compose = compose  # later: models and settings have to be there

    def __call__(self, **values: Any) -> list[Found]:
        statement, make = self._composed
        return make(statement(**values))

    def first(self, **values: Any) -> Found | None:
        return next(iter(self(**values)), None)

    @cached_property
    def _composed(self) -> tuple[Statement, Rows[Found]]:
        queryset = self._compose()
        compiler = queryset.query.get_compiler(connection=connection)
        sql, constants = compiler.as_sql()
        operations: Any = connection.ops  # PostgreSQL's
        statement = Statement(operations.compose_sql(re.sub(r"%(?=\(\w+\)s)", "%%", sql), constants))
        if not queryset.query.default_cols:  # but of `values_list`
            return statement, cast(Rows[Found], list)
        described: Any = compiler.klass_info
        model, places = described["model"], described["select_fields"]
        first, last = places[0], places[-1] + 1
        names = [column.target.attname for column, *_ in compiler.select[first:last]]
        populators: Any = get_related_populators  # whose types are those of a later Django
        related = populators(described, compiler.select, connection.alias)
        converters = compiler.get_converters(column for column, *_ in compiler.select)

        def make(rows: list[tuple[Any, ...]]) -> list[Found]:
            found = []
            for row in compiler.apply_converters(rows, converters) if converters else rows:
                one = model.from_db(connection.alias, names, row[first:last])
                for populator in related:
                    populator.populate(row, one)
                found.append(one)
            return found

        return statement, make
