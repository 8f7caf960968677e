"""Rows out of the database as numpy columns, by PostgreSQL's COPY: a million in seconds, and never all of them as rows.

They come in the binary form, where all rows of one query are of one length, so that numpy reads them as they are.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray

CHUNK = 4 << 20  # bytes gathered before they are taken apart
HEADER = 19  # a signature of 11 bytes, flags, and the length of an extension that there is not


class UnreadableCopy(Exception):
    """PostgreSQL sent rows of another form than asked for: a null, or a column of another type."""


@dataclass(frozen=True)
class Kind:
    """A column's type.

    Args:
        sent: how numpy reads what PostgreSQL sends, and
        size: its length in bytes.
        kept: what it is kept as.
        labelled: whether its values are numbered in the order of appearance; `Columns.labels` says what for.
    """

    sent: Any
    size: int
    kept: type[np.generic]
    labelled: bool = False


BIGINT = Kind(">i8", 8, np.int64)
INTEGER = Kind(">i4", 4, np.int64)
BOOLEAN = Kind("?", 1, np.bool_)
DOUBLE = Kind(">f8", 8, np.float64)
LABEL = Kind(">i8", 8, np.int64, labelled=True)
UUID = Kind([("high", ">u8"), ("low", ">u8")], 16, np.int64, labelled=True)


@dataclass(frozen=True, eq=False)
class Columns:
    """Args:
    values: (n,) by name.
    labels: by name, what the numbers in a labelled column stand for.
    """

    values: dict[str, NDArray[Any]]
    labels: dict[str, tuple[Any, ...]]


def copy(rows: "QuerySet[Any, Any]", kinds: Mapping[str, Kind]) -> Columns:
    """All that the query finds.

    Args:
        rows: a query that has a field or annotation of each name; without nulls.
        kinds: by name.
    Raises: UnreadableCopy for a null or another type.
    """
    parts = _Parts(kinds)
    query, parameters = rows.values_list(*kinds).query.sql_with_params()
    with connection.cursor() as cursor:
        statement = cursor.mogrify(query, parameters).decode()
        cursor.copy_expert(f"COPY ({statement}) TO STDOUT WITH (FORMAT binary)", parts)
    return parts.columns()


class _Parts:
    """A file that COPY writes to, which keeps numbers only."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = dict(kinds)
        fields = [
            (f"{name}{end}", form) for name, kind in kinds.items() for end, form in (("#", ">i4"), ("", kind.sent))
        ]
        self.row = np.dtype([("#", ">i2"), *fields])
        self.waiting = bytearray()
        self.begun = False
        self.parts: dict[str, list[NDArray[Any]]] = {name: [] for name in kinds}
        self.numbers = {name: _Numbers() for name, kind in kinds.items() if kind.labelled}

    def write(self, data: bytes) -> int:
        self.waiting += data
        if len(self.waiting) >= CHUNK:
            self._take()
        return len(data)

    def columns(self) -> Columns:
        self._take()
        if bytes(self.waiting) != b"\xff\xff":  # how a copy ends
            raise UnreadableCopy(f"The rows were to end whole, but {len(self.waiting)} bytes are left over.")
        values = {
            name: np.concatenate([np.zeros(0, dtype=self.kinds[name].kept), *parts])
            for name, parts in self.parts.items()
        }
        return Columns(values, {name: tuple(numbers.known) for name, numbers in self.numbers.items()})

    def _take(self) -> None:
        """Turn the whole rows that wait into numbers."""
        start = 0 if self.begun else HEADER
        self.begun = True
        count = (len(self.waiting) - start) // self.row.itemsize
        end = start + count * self.row.itemsize
        rows = np.frombuffer(bytes(self.waiting[start:end]), dtype=self.row)
        del self.waiting[:end]
        self._check(rows)
        for name, kind in self.kinds.items():
            column = rows[name]
            if name in self.numbers:
                column = self.numbers[name].of(column)
            self.parts[name].append(column.astype(kind.kept))

    def _check(self, rows: NDArray[Any]) -> None:
        wrong = [name for name, kind in self.kinds.items() if (rows[f"{name}#"] != kind.size).any()]
        if wrong or (rows["#"] != len(self.kinds)).any():
            raise UnreadableCopy(
                f"These columns hold nulls or another type than expected: {', '.join(wrong) or 'all'}."
            )


class _Numbers:
    """Numbers labels in the order in which they appear."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}

    def of(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        keys = labels if labels.dtype.names is None else labels["high"]
        _, first, where = np.unique(keys, return_index=True, return_inverse=True)
        distinct = labels[first]
        if (labels != distinct[where]).any():  # two ids alike in their first half, which is random: slow but right
            distinct, where = np.unique(labels, return_inverse=True)
        codes = [self.known.setdefault(_label(label), len(self.known)) for label in distinct.tolist()]
        return np.array(codes, dtype=np.int64)[where]


def _label(value: Any) -> Any:
    return uuid.UUID(int=value[0] << 64 | value[1]) if isinstance(value, tuple) else value
