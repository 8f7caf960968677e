"""A large picture as square tiles of ever finer levels, in one file: which tile lies where.

A copy of 16,384 × 16,384 pixels has 1,365 tiles. One file of them is one object in storage: it is there whole or not
at all, is deleted with one call, and each tile is one short read. In front stands an index of little-endian 64-bit
offsets, one for each record and one for the end. Record 0 is an overview, a whole picture for whoever looks without
JavaScript; then come the levels, the coarsest first, each row by row.
"""

import os
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO

TILE = 512  # pixels a side
OVERVIEW = 2048  # the longest side of the overview at most
OFFSET = struct.Struct("<Q")
SPAN = struct.Struct("<QQ")

Size = tuple[int, int]


def levels(size: Size) -> list[Size]:
    """The size of each level: the first fits in one tile, each further one is twice as large, the last is `size`."""
    sizes = [size]
    while max(sizes[0]) > TILE:
        width, height = sizes[0]
        sizes.insert(0, ((width + 1) // 2, (height + 1) // 2))
    return sizes


def grid(level: Size) -> Size:
    """How many columns and rows of tiles a level has."""
    return -(-level[0] // TILE), -(-level[1] // TILE)


def number(size: Size, level: int, column: int, row: int) -> int | None:
    """Which record of a picture's file holds a tile; None when there is no such tile."""
    sizes = levels(size)
    if not 0 <= level < len(sizes):
        return None
    columns, rows = grid(sizes[level])
    if not (0 <= column < columns and 0 <= row < rows):
        return None
    return 1 + sum(across * down for across, down in map(grid, sizes[:level])) + row * columns + column


def tiles(size: Size) -> list[tuple[int, int, int]]:
    """Level, column and row of every tile, in the order of the file."""
    return [
        (level, column, row)
        for level, (columns, rows) in enumerate(map(grid, levels(size)))
        for row in range(rows)
        for column in range(columns)
    ]


def pack(records: Iterable[Path], path: Path) -> None:
    """Write the file from its records, each in a file of its own, the overview first."""
    records = list(records)
    start = OFFSET.size * (len(records) + 1)
    with path.open("wb") as file:
        file.write(OFFSET.pack(start))
        for record in records:
            start += record.stat().st_size
            file.write(OFFSET.pack(start))
        for record in records:
            with record.open("rb") as content:
                shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())


def index_of(record: int) -> Size:
    """Where in the file, and on how many bytes, its span is written."""
    return OFFSET.size * record, SPAN.size


def span(index: bytes) -> Size:
    """Where a record begins and how long it is, from what the file has at `index_of`."""
    start, end = SPAN.unpack(index)
    return start, end - start


def record_of(file: IO[bytes], record: int) -> bytes:
    """A record's bytes, from an open file."""
    place, length = index_of(record)
    file.seek(place)
    start, length = span(file.read(length))
    file.seek(start)
    return file.read(length)
