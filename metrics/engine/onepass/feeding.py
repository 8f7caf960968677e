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
"""A subject's inputs for each column that wants it, or why it does not fit the column's metric."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all subjects of a pass; see `compute_block`. Attributes: batch: inputs in a forward pass."""

    protocol: Protocol
    weights: Weights
    device: torch.device
    batch: int
    cached: Lookup
    on_progress: Callable[[int], None]
    should_stop: Callable[[], bool]
    spare_others: bool


class Pass:
    """Args: lanes: entered already."""

    def __init__(self, settings: Settings, lanes: Lanes[Any], staging: Staging) -> None:
        self.settings, self.lanes, self.staging = settings, lanes, staging

    def run(self, subjects: Sequence[Subject], columns: Sequence[str]) -> Block:
        start = time.perf_counter()
        forget_peak(self.settings.device)
        fingerprints = {column: self.settings.protocol.column_fingerprint(column) for column in columns}
        filling = self._open_columns(subjects, fingerprints)
        decoded = self._feed(subjects, list(filling.values()))
        self.settings.on_progress(len(subjects))
        whole = {name: column for name, column in filling.items() if not column.making.problem}
        return Block(
            keys=tuple(subject.key for subject in subjects),
            columns={name: column.rows() for name, column in whole.items()},
            row_keys={name: column.keys for name, column in whole.items()},
            fingerprints={name: fingerprints[name] for name in whole},
            efficiency=self._efficiency(len(subjects), decoded, time.perf_counter() - start, filling),
            problems={name: column.making.problem for name, column in filling.items() if name not in whole},
        )

    def _open_columns(self, subjects: Sequence[Subject], fingerprints: dict[str, str]) -> dict[str, Filling]:
        given = self.settings
        makings: dict[str, Making] = {}
        filling = {}
        for name, fingerprint in fingerprints.items():
            if fingerprint not in makings:
                extractor = load_extractor(name, given.protocol, given.weights, given.device, given.batch)
                makings[fingerprint] = Making(name, extractor, self.lanes.batch_size)
            making, column = makings[fingerprint], COLUMNS[name]
            keys = tuple(subject.content(column.roles) for subject in subjects)
            making.found.update(given.cached(fingerprint, list(dict.fromkeys(keys))))
            filling[name] = Filling(making, column.roles, keys, given.protocol.moving and column.reads_pictures)
        return filling

    def _feed(self, subjects: Sequence[Subject], filling: list[Filling]) -> int:
        """Fills the columns and gives the number of files that had to be decoded."""
        wanted = [
            [column for column in filling if column.making.wants(column.keys[index])] for index in range(len(subjects))
        ]
        named = ((subject, role) for subject, columns in zip(subjects, wanted, strict=True) for role in _roles(columns))
        pictures = Pictures(self.settings.protocol, named)
        for index, ready in enumerate(self._readied(subjects, wanted, pictures)):
            if self.settings.should_stop():
                raise Stopped("The pass was asked to stop, so its results were dropped; start it again to have them.")
            for column, inputs in zip(wanted[index], ready, strict=True):
                self._take(column.making, column.keys[index], inputs)
            self.settings.on_progress(index)
        for making in {id(column.making): column.making for column in filling}.values():
            for batch in making.rest():
                self.lanes.run(batch)
        self.lanes.finish()
        return pictures.decoded

    def _readied(self, subjects: Sequence[Subject], wanted: list[list[Filling]], pictures: Pictures) -> Iterator[Ready]:
        """Each subject's inputs in order, made a few subjects ahead."""
        ahead: deque[Future[Ready]] = deque()
        for subject, columns in zip(subjects, wanted, strict=True):
            ahead.append(self.lanes.start(partial(self._ready, subject, columns, pictures)))
            if len(ahead) >= self.lanes.ahead:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _ready(self, subject: Subject, columns: list[Filling], pictures: Pictures) -> Ready:
        """Runs in a thread."""
        there: dict[Role, Tensor] = {}
        for role in _roles(columns):
            with self.lanes.timed("decode"):
                pixels = pictures.pixels(subject, role)
            with self.lanes.timed("transfer"):
                there[role] = self.staging.to_device(pixels)
        with self.lanes.timed("resize"):
            return [self._prepared(column, subject, there) for column in columns]

    def _prepared(self, column: Filling, subject: Subject, pictures: dict[Role, Tensor]) -> Tensor | BadInput:
        inputs = [subject.text(role) if role.is_text else pictures[role] for role in column.roles]
        try:
            return column.making.extractor.prepare(subject.title, *inputs)
        except BadInput as misfit:
            if not self.settings.spare_others:
                raise
            return misfit

    def _take(self, making: Making, key: str, inputs: Tensor | BadInput) -> None:
        if isinstance(inputs, BadInput):
            making.problem = making.problem or str(inputs)
        elif not making.problem:
            for batch in making.take(key, inputs):
                self.lanes.run(batch)

    def _efficiency(self, images: int, decoded: int, wall: float, filling: dict[str, Filling]) -> Efficiency:
        return Efficiency(
            seconds={**self.lanes.seconds, "wall": wall},
            images=images,
            decoded=decoded,
            peak_memory=peak_memory(self.settings.device),
            device=device_name(self.settings.device),
            batch_size={name: column.making.smallest_batch for name, column in filling.items()},
            threads=self.lanes.count,
            versions={"torch": torch.__version__, "pillow": PIL.__version__},
            dtype=self.settings.protocol.dtype,
            notes=tuple(
                f"{making.name}: batch halved from {whole} to {half}, for want of memory"
                for making in {id(column.making): column.making for column in filling.values()}.values()
                for whole, half in making.halvings
            ),
        )


def _roles(columns: Sequence[Filling]) -> list[Role]:
    """What has to be decoded for these columns, each picture once."""
    return list(dict.fromkeys(role for column in columns for role in column.roles if not role.is_text))
