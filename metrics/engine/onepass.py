"""The pass: each picture is decoded once and feeds every extractor that the run's metrics need.

Decoding runs in threads beside the device (Pillow releases the GIL). Rows found by the caller's lookup are not
computed, and a sample whose rows were all found is never opened. Load and run models in a Celery child, never before
the fork: a process that forks after multi-threaded torch has run hangs (set OMP_NUM_THREADS=1, or
    torch.set_num_threads, per worker as you like).
"""

import hashlib
import os
import resource
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.engine.blocks import Block, Efficiency, Lookup, Row
from metrics.engine.errors import BadInput, Stopped
from metrics.engine.extractors import Extractor, load_extractor
from metrics.engine.images import decode_image
from metrics.engine.protocol import Protocol
from metrics.engine.references import Reference, reference_from_blocks
from metrics.engine.registry import Need, columns_of, get_metric
from metrics.engine.subjects import Opener, Subject
from metrics.engine.weights import Weights

Pixels = NDArray[np.uint8]

__all__ = ["Subject", "compute_block", "compute_reference"]

BATCH_ON_CPU = 4
BATCH_ON_GPU = 64


def compute_block(
    subjects: Sequence[Subject],
    *,
    metrics: Sequence[str],
    protocol: Protocol,
    weights: Weights,
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
    decode_threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    cached: Lookup | None = None,
) -> Block:
    """Every row that `metrics` need of `subjects`, in their order.

    Args:
        on_progress: called with the number of subjects done so far.
        should_stop: asked between pictures; True ends the pass with `Stopped`.
        cached: rows already known; see `blocks.Lookup`.
    Raises: BadInput, UnreadableImage, MissingWeights, WrongWeights, Mismatch, Stopped.
    """
    columns = columns_of(list(metrics))
    _check_needs(subjects, metrics)
    protocol.check_decoder()
    place = torch.device(device)
    batch = batch_size or (BATCH_ON_CPU if place.type == "cpu" else BATCH_ON_GPU)
    threads = decode_threads or min(4, os.cpu_count() or 1)
    a_pass = _Pass(protocol, weights, place, batch, threads, on_progress or _ignore, should_stop or _never)
    return a_pass.run(subjects, columns, cached or _nothing_known)


def compute_reference(
    subjects: Sequence[Subject],
    *,
    protocol: Protocol,
    weights: Weights,
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
    decode_threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    cached: Lookup | None = None,
) -> Reference:
    """The statistics of a reference set, in one go. A large set can be sharded instead: blocks of metric `fid`, then
    `reference_from_blocks`, which gives the same bits."""
    block = compute_block(
        subjects,
        metrics=["fid"],
        protocol=protocol,
        weights=weights,
        device=device,
        batch_size=batch_size,
        decode_threads=decode_threads,
        on_progress=on_progress,
        should_stop=should_stop,
        cached=cached,
    )
    return reference_from_blocks([block])


def _check_needs(subjects: Sequence[Subject], metrics: Sequence[str]) -> None:
    if not subjects:
        raise BadInput("There are no samples to measure; give at least one.")
    for metric in metrics:
        spec = get_metric(metric)
        for subject in subjects:
            if Need.PAIRED_REFERENCE in spec.needs and not (subject.reference_open and subject.reference_key):
                raise BadInput(f"{subject.title} has no reference, which {spec.title} compares it with; give it one.")
            if Need.CAPTION in spec.needs and subject.caption is None:
                raise BadInput(f"{subject.title} has no caption, which {spec.title} compares it with; give it one.")


def _row_key(extractor: Extractor, subject: Subject) -> str:
    if extractor.source == "caption":
        return hashlib.sha256((subject.caption or "").encode()).hexdigest()
    return f"{subject.key}|{subject.reference_key}" if extractor.source == "pair" else subject.key


def _ignore(_done: int) -> None:
    return None


def _never() -> bool:
    return False


def _nothing_known(_fingerprint: str, _keys: Sequence[str]) -> dict[str, Row]:
    return {}


@dataclass
class _Column:
    """One column while it fills: its maker, the rows found or made so far, and inputs waiting for a full batch."""

    extractor: Extractor
    fingerprint: str
    keys: tuple[str, ...]
    rows: dict[str, Row]
    waiting: dict[tuple[int, ...], list[tuple[str, Tensor]]] = field(default_factory=lambda: defaultdict(list))
    asked: set[str] = field(default_factory=set)

    def wants(self, index: int) -> bool:
        """Whether this subject's row is still to be made, and not already on its way from an equal subject."""
        key = self.keys[index]
        if key in self.rows or key in self.asked:
            return False
        self.asked.add(key)
        return True

    def take(self, index: int, prepared: Tensor) -> None:
        group = self.waiting[tuple(prepared.shape)]
        group.append((self.keys[index], prepared))
        if len(group) == self.extractor.batch_for(prepared):
            self._forward(self.waiting.pop(tuple(prepared.shape)))

    def finish(self) -> None:
        for group in self.waiting.values():
            self._forward(group)
        self.waiting.clear()

    def _forward(self, group: list[tuple[str, Tensor]]) -> None:
        inputs = torch.stack([prepared for _, prepared in group])
        missing = self.extractor.batch_for(inputs[0]) - len(group)
        if missing:
            inputs = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        rows = self.extractor.forward(inputs)[: len(group)].float().cpu().numpy()
        self.rows.update({key: np.array(row) for (key, _), row in zip(group, rows, strict=True)})


class _Pass:
    def __init__(
        self,
        protocol: Protocol,
        weights: Weights,
        device: torch.device,
        batch: int,
        threads: int,
        on_progress: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.protocol, self.weights, self.device, self.batch, self.threads = protocol, weights, device, batch, threads
        self.on_progress, self.should_stop = on_progress, should_stop
        self.seconds = dict.fromkeys(("decode", "wait", "prepare", "forward"), 0.0)
        self.decoded = 0

    def run(self, subjects: Sequence[Subject], columns: Sequence[str], cached: Lookup) -> Block:
        filling = {column: self._open_column(column, subjects, cached) for column in columns}
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.perf_counter()
        with torch.inference_mode(), _exact_convolutions():
            self._feed(subjects, filling)
            for column in filling.values():
                with self._timed("forward"):
                    column.finish()
        self.seconds["wall"] = time.perf_counter() - start
        self.on_progress(len(subjects))
        return Block(
            keys=tuple(subject.key for subject in subjects),
            columns={name: np.stack([column.rows[key] for key in column.keys]) for name, column in filling.items()},
            row_keys={name: column.keys for name, column in filling.items()},
            fingerprints={name: column.fingerprint for name, column in filling.items()},
            efficiency=self._efficiency(len(subjects)),
        )

    def _open_column(self, name: str, subjects: Sequence[Subject], cached: Lookup) -> _Column:
        extractor = load_extractor(name, self.protocol, self.weights, self.device, self.batch)
        fingerprint = self.protocol.column_fingerprint(name)
        keys = tuple(_row_key(extractor, subject) for subject in subjects)
        known = cached(fingerprint, list(dict.fromkeys(keys)))
        return _Column(extractor, fingerprint, keys, dict(known))

    def _feed(self, subjects: Sequence[Subject], filling: dict[str, _Column]) -> None:
        wanted = [[column for column in filling.values() if column.wants(index)] for index in range(len(subjects))]
        # Closed at once on an error, so that no decoding goes on behind it.
        with closing(self._decoded(subjects, wanted)) as arriving:
            for index, pictures in arriving:
                if self.should_stop():
                    raise Stopped(
                        "The pass was asked to stop, so its results were dropped; start it again to have them."
                    )
                for column in wanted[index]:
                    with self._timed("prepare"):
                        prepared = self._prepare(column.extractor, subjects[index], pictures)
                    with self._timed("forward"):
                        column.take(index, prepared)
                self.on_progress(index)

    def _prepare(self, extractor: Extractor, subject: Subject, pictures: list[Tensor]) -> Tensor:
        if extractor.source == "caption":
            return extractor.prepare(subject.caption)
        if extractor.source == "pair":
            return extractor.prepare(*pictures, subject.title)
        return extractor.prepare(pictures[0])

    def _decoded(
        self, subjects: Sequence[Subject], wanted: list[list[_Column]]
    ) -> Generator[tuple[int, list[Tensor]], None, None]:
        """Each subject in order with its pictures on the device, decoded a few subjects ahead by threads."""
        ahead: deque[tuple[int, list[Future[tuple[Pixels, float]]]]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            try:
                for index, subject in enumerate(subjects):
                    ahead.append((index, [pool.submit(_decode, *each) for each in _pictures(subject, wanted[index])]))
                    if len(ahead) > 2 * self.threads:
                        yield self._arrived(*ahead.popleft())
                while ahead:
                    yield self._arrived(*ahead.popleft())
            finally:
                for _, futures in ahead:
                    for future in futures:
                        future.cancel()

    def _arrived(self, index: int, futures: list[Future[tuple[Pixels, float]]]) -> tuple[int, list[Tensor]]:
        with self._timed("wait"):
            arrived = [future.result() for future in futures]
        self.decoded += len(arrived)
        self.seconds["decode"] += sum(seconds for _, seconds in arrived)
        with self._timed("prepare"):
            # (1, 3, h, w) uint8; the memory stays interleaved as decoded.
            return index, [torch.from_numpy(each).to(self.device).permute(2, 0, 1)[None] for each, _ in arrived]

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start

    def _efficiency(self, images: int) -> Efficiency:
        on_gpu = self.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.device) if on_gpu else _process_peak()
        return Efficiency(
            seconds=self.seconds,
            images=images,
            decoded=self.decoded,
            peak_memory=peak,
            device=torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            batch_size=self.batch,
            threads=torch.get_num_threads(),
            versions={"torch": torch.__version__, "pillow": PIL.__version__},
        )


def _decode(opener: Opener, name: str) -> tuple[Pixels, float]:
    start = time.perf_counter()
    with opener() as file:
        pixels = decode_image(file, name=name)
    return pixels, time.perf_counter() - start


def _pictures(subject: Subject, columns: list[_Column]) -> list[tuple[Opener, str]]:
    sources = {column.extractor.source for column in columns}
    pictures = [(subject.open, subject.title)] if sources & {"image", "pair"} else []
    if "pair" in sources and subject.reference_open:
        pictures.append((subject.reference_open, f"The reference of {subject.title}"))
    return pictures


def _process_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _exact_convolutions() -> Iterator[None]:
    """Full float32 and one algorithm per shape on a GPU, so that a row does not depend on the run."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
