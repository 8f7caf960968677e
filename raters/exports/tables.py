"""A table of any length as CSV, JSONL or Parquet, in pieces: at no time is more than a few rows in memory."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from rest_framework.utils.encoders import JSONEncoder

from evalhub.sheets import harmless

# Arrow takes long to load: it is loaded for whoever takes a table, not by every web server that starts.
if TYPE_CHECKING:
    import pyarrow

Row = Mapping[str, Any]

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
# A group of rows is written at so many rows or so many bytes of pictures, whichever comes first.
GROUP_ROWS = 5_000
GROUP_BYTES = 2**25


@dataclass(frozen=True)
class Table:
    """Columns and the rows that come, one by one; `about` is kept in a Parquet file's metadata.

    A column of bytes (pictures) is written to Parquet only.
    """

    name: str
    schema: "pyarrow.Schema"
    rows: Callable[[], Iterator[Row]]
    about: Mapping[str, Any]

    @property
    def text_columns(self) -> list[str]:
        import pyarrow

        return [column.name for column in self.schema if not pyarrow.types.is_binary(column.type)]


def stream(table: Table, kind: str) -> Iterator[bytes]:
    """The table's file in pieces. All of it is read in one transaction: votes cast meanwhile are not in it.

    Args: kind: csv, jsonl or parquet.
    """
    write = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[kind]
    with transaction.atomic():
        yield from write(table)


def _csv(table: Table) -> Iterator[bytes]:
    names = table.text_columns
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore")
    writer.writeheader()
    for group in _groups(table.rows(), table.schema):
        writer.writerows({name: harmless(_cell(row[name])) for name in names} for row in group)
        yield out.getvalue().encode()
        out.seek(0)
        out.truncate()
    yield out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return " ".join(str(one) for one in value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _jsonl(table: Table) -> Iterator[bytes]:
    names = table.text_columns
    for group in _groups(table.rows(), table.schema):
        lines = (json.dumps({name: row[name] for name in names}, cls=JSONEncoder, ensure_ascii=False) for row in group)
        yield "".join(f"{line}\n" for line in lines).encode()


def _parquet(table: Table) -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet

    about = {"evalhub": json.dumps(table.about, cls=JSONEncoder)}
    out = _Outlet()
    # Pictures are compressed already.
    packing = {name: "ZSTD" if name in table.text_columns else "NONE" for name in table.schema.names}
    with parquet.ParquetWriter(out, table.schema.with_metadata(about), compression=packing) as writer:
        for group in _groups(table.rows(), table.schema):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=table.schema))
            yield out.take()
    yield out.take()


class _Outlet(io.RawIOBase):
    """What the Parquet writer has written since it was last taken; the file itself is kept nowhere."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        piece = bytes(piece)
        self._pieces.append(piece)
        self._length += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._length

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _groups(rows: Iterable[Row], schema: "pyarrow.Schema") -> Iterator[list[Row]]:
    import pyarrow

    heavy = [column.name for column in schema if pyarrow.types.is_binary(column.type)]
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(row[name] or b"") for name in heavy)
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
