"""One pass over some subjects: what is wanted is decoded, prepared, batched and computed, and becomes a block."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import PIL
import torch
from torch import Tensor

from metrics.engine.blocks import Block, Efficiency, Lookup
from metrics.engine.columns import COLUMNS, Role
from metrics.engine.devices import device_name, forget_peak, peak_memory
from metrics.engine.errors import BadInput, Stopped
from metrics.engine.extractors import load_extractor
from metrics.engine.onepass.decoding import Pictures, Staging
from metrics.engine.onepass.filling import Filling, Making
from metrics.engine.onepass.lanes import Lanes
from metrics.engine.protocol import Protocol
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights

Ready = list[Tensor | BadInput]
"""A subject's inputs for each of its rows, or why it does not fit the row's metric."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all subjects of a pass; see `Options`. Attributes: batch: inputs in a forward pass."""

    protocol: Protocol
    weights: Weights
    device: torch.device
    batch: int
    cached: Lookup
    on_progress: Callable[[int], None]
    should_stop: Callable[[], bool]
    spare_others: bool


@dataclass(frozen=True)
class Wanted:
    """Subjects and the columns wanted of them; a pass over several gives one block for each."""

    subjects: Sequence[Subject]
    columns: Sequence[str]


@dataclass(frozen=True)
class _Row:
    """A row to be made: by whom, under which key, of which roles of its subject."""

    making: Making
    key: str
    roles: tuple[Role, ...]


@dataclass(frozen=True)
class Entry:
    """A subject and the rows to be made of it."""

    subject: Subject
    rows: Sequence[_Row]

    @property
    def pictures(self) -> list[Role]:
        """What has to be decoded, each once."""
        return list(dict.fromkeys(role for row in self.rows for role in row.roles if not role.is_text))


class Pass:
    """Args: lanes: entered already."""

    def __init__(self, settings: Settings, lanes: Lanes[Any], staging: Staging) -> None:
        self.settings, self.lanes, self.staging = settings, lanes, staging
        self._makings: dict[str, Making] = {}

    def run(self, parts: Sequence[Wanted]) -> list[Block]:
        """One block for each part, all with the efficiency of the whole."""
        start = time.perf_counter()
        forget_peak(self.settings.device)
        filling = [self._open_columns(part) for part in parts]
        images = sum(len(part.subjects) for part in parts)
        decoded = self._feed(self._entries(parts, filling))
        self.settings.on_progress(images)
        took = self._efficiency(images, decoded, time.perf_counter() - start, filling)
        return [self._block(part, columns, took) for part, columns in zip(parts, filling, strict=True)]

    def _block(self, part: Wanted, filling: dict[str, Filling], took: Efficiency) -> Block:
        whole = {name: column for name, column in filling.items() if not column.making.problem}
        return Block(
            keys=tuple(subject.key for subject in part.subjects),
            columns={name: column.rows() for name, column in whole.items()},
            row_keys={name: column.keys for name, column in whole.items()},
            fingerprints={name: self.settings.protocol.column_fingerprint(name) for name in whole},
            efficiency=took,
            problems={name: column.making.problem for name, column in filling.items() if name not in whole},
        )

    def _open_columns(self, part: Wanted) -> dict[str, Filling]:
        given = self.settings
        filling = {}
        for name in part.columns:
            fingerprint, column = given.protocol.column_fingerprint(name), COLUMNS[name]
            if fingerprint not in self._makings:
                load = partial(load_extractor, name, given.protocol, given.weights, given.device, given.batch)
                self._makings[fingerprint] = Making(name, load, self.lanes.batch_size)
            making = self._makings[fingerprint]
            keys = tuple(subject.content(column.roles) for subject in part.subjects)
            unknown = [key for key in dict.fromkeys(keys) if key not in making.found]
            making.found.update(given.cached(fingerprint, unknown))
            filling[name] = Filling(making, column.roles, keys, given.protocol.moving and column.reads_pictures)
        return filling

    def _entries(self, parts: Sequence[Wanted], filling: Sequence[dict[str, Filling]]) -> list[Entry]:
        entries: list[Entry] = []
        for part, index in _order(parts):
            rows = [(column.making, column.keys[index], column.roles) for column in filling[part].values()]
            entries.append(Entry(parts[part].subjects[index], [_Row(*row) for row in rows if row[0].wants(row[1])]))
        return entries

    def _feed(self, entries: Sequence[Entry]) -> int:
        """Makes all rows and gives the number of files that had to be decoded."""
        makings = {id(row.making): row.making for entry in entries for row in entry.rows}.values()
        for making in makings:
            # Here, not in a thread, and before anything is decoded.
            _ = making.extractor
        pictures = Pictures(
            self.settings.protocol, ((entry.subject, role) for entry in entries for role in entry.pictures)
        )
        for index, (entry, ready) in enumerate(zip(entries, self._readied(entries, pictures), strict=True)):
            if self.settings.should_stop():
                raise Stopped("The pass was asked to stop, so its results were dropped; start it again to have them.")
            for row, inputs in zip(entry.rows, ready, strict=True):
                self._take(row, inputs)
            self.settings.on_progress(index)
        for making in makings:
            for batch in making.rest():
                self.lanes.run(batch)
        self.lanes.finish()
        return pictures.decoded

    def _readied(self, entries: Sequence[Entry], pictures: Pictures) -> Iterator[Ready]:
        """Each entry's inputs in order, made a few entries ahead."""
        ahead: deque[Future[Ready]] = deque()
        for entry in entries:
            ahead.append(self.lanes.start(partial(self._ready, entry, pictures)))
            if len(ahead) >= self.lanes.ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _ready(self, entry: Entry, pictures: Pictures) -> Ready:
        """Runs in a thread."""
        there: dict[Role, Tensor] = {}
        for role in entry.pictures:
            with self.lanes.timed("decode"):
                pixels = pictures.pixels(entry.subject, role)
            with self.lanes.timed("transfer"):
                there[role] = self.staging.to_device(pixels)
        with self.lanes.timed("resize"):
            return [self._prepared(row, entry.subject, there) for row in entry.rows]

    def _prepared(self, row: _Row, subject: Subject, pictures: dict[Role, Tensor]) -> Tensor | BadInput:
        inputs = [subject.text(role) if role.is_text else pictures[role] for role in row.roles]
        try:
            return row.making.extractor.prepare(subject.title, *inputs)
        except BadInput as misfit:
            if not self.settings.spare_others:
                raise
            return misfit

    def _take(self, row: _Row, inputs: Tensor | BadInput) -> None:
        making = row.making
        if isinstance(inputs, BadInput):
            making.problem = making.problem or str(inputs)
        elif not making.problem:
            for batch in making.take(row.key, inputs):
                self.lanes.run(batch)

    def _efficiency(self, images: int, decoded: int, wall: float, filling: Sequence[dict[str, Filling]]) -> Efficiency:
        return Efficiency(
            seconds={**self.lanes.seconds, "wall": wall},
            images=images,
            decoded=decoded,
            peak_memory=peak_memory(self.settings.device),
            device=device_name(self.settings.device),
            batch_size={name: column.making.smallest_batch for part in filling for name, column in part.items()},
            threads=self.lanes.count,
            versions={"torch": torch.__version__, "pillow": PIL.__version__},
            dtype=self.settings.protocol.dtype,
            notes=tuple(
                f"{making.name}: batch halved from {whole} to {half}, for want of memory"
                for making in self._makings.values()
                for whole, half in making.halvings
            ),
        )


def _order(parts: Sequence[Wanted]) -> list[tuple[int, int]]:
    """(part, index) of every subject. A picture of a later part comes right after the subject of the first that is
    compared with it, so that one decoding serves both."""
    later = [(part, index) for part in range(1, len(parts)) for index in range(len(parts[part].subjects))]
    partners = {parts[part].subjects[index].key: (part, index) for part, index in later}
    order: list[tuple[int, int]] = []
    for index, subject in enumerate(parts[0].subjects):
        order.append((0, index))
        if subject.reference and (partner := partners.pop(subject.reference.key, None)):
            order.append(partner)
    placed = set(order)
    return order + [each for each in later if each not in placed]
