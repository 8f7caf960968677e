"""Rows in handfuls, so that what belongs to them is looked up once per handful."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` rows, in their order."""
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch
