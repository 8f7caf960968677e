"""The pass: each picture is decoded once and feeds every extractor that the run's metrics need.

Decoding runs in threads beside the device (Pillow releases the GIL). Rows found by the caller's lookup are not
computed, and a sample whose rows were all found is never opened. Load and run models in a Celery child, never before
the fork: a process that forks after multi-threaded torch has run hangs (set OMP_NUM_THREADS=1, or
    torch.set_num_threads, per worker as you like).
"""

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
from metrics.engine.columns import COLUMNS, Role
from metrics.engine.errors import BadInput, Stopped
from metrics.engine.extractors import Extractor, load_extractor
from metrics.engine.images import decode_image
from metrics.engine.protocol import Protocol
from metrics.engine.references import Reference, reference_from_blocks
from metrics.engine.registry import columns_of, compared_with_sets, get_metric, reference_columns
from metrics.engine.subjects import Subject
from metrics.engine.videos import decode_video
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
    spare_others: bool = False,
) -> Block:
    """Every row that `metrics` need of `subjects`, in their order.

    Args:
        on_progress: called with the number of subjects done so far.
        should_stop: asked between pictures; True ends the pass with `Stopped`.
        cached: rows already known; see `blocks.Lookup`.
        spare_others: a sample that does not fit one metric (of another size than its reference, say) leaves that
            metric's column out of the block, with the sentence in `Block.problems`, instead of ending the pass.
    Raises: BadInput, UnreadableImage, MissingWeights, WrongWeights, Mismatch, Stopped.
    """
    columns = columns_of(list(metrics))
    _check_modality(metrics, protocol)
    _check_needs(subjects, metrics)
    protocol.check_decoder()
    place = torch.device(device)
    batch = batch_size or (BATCH_ON_CPU if place.type == "cpu" else BATCH_ON_GPU)
    threads = decode_threads or min(4, os.cpu_count() or 1)
    a_pass = _Pass(
        protocol, weights, place, batch, threads, on_progress or _ignore, should_stop or _never, spare_others
    )
    return a_pass.run(subjects, columns, cached or _nothing_known)


def compute_reference(
    subjects: Sequence[Subject],
    *,
    metrics: Sequence[str] = ("fid",),
    protocol: Protocol,
    weights: Weights,
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
    decode_threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    cached: Lookup | None = None,
) -> Reference:
    """The statistics of a reference set, in one go, for those of `metrics` that compare with one.

    A large set can be sharded instead: blocks of those metrics, then `reference_from_blocks`, which gives the same
    bits.
    """
    block = compute_block(
        subjects,
        metrics=compared_with_sets(metrics),
        protocol=protocol,
        weights=weights,
        device=device,
        batch_size=batch_size,
        decode_threads=decode_threads,
        on_progress=on_progress,
        should_stop=should_stop,
        cached=cached,
    )
    return reference_from_blocks([block], columns=reference_columns(metrics))


def _check_modality(metrics: Sequence[str], protocol: Protocol) -> None:
    here = "video" if protocol.moving else "image"
    for spec in map(get_metric, metrics):
        if here not in spec.modalities:
            scored = " and ".join(f"{each}s" for each in sorted(spec.modalities))
            raise BadInput(f"{spec.title} scores {scored}, and the samples are {here}s; leave it out.")


def _check_needs(subjects: Sequence[Subject], metrics: Sequence[str]) -> None:
    if not subjects:
        raise BadInput("There are no samples to measure; give at least one.")
    for spec in map(get_metric, metrics):
        for role in {role for column in spec.columns for role in COLUMNS[column].roles}:
            for subject in subjects:
                if not subject.has(role):
                    raise BadInput(f"{subject.title} has no {role}, which {spec.title} compares it with; give it one.")


def _ignore(_done: int) -> None:
    return None


def _never() -> bool:
    return False


def _nothing_known(_fingerprint: str, _keys: Sequence[str]) -> dict[str, Row]:
    return {}


@dataclass
class _Making:
    """One maker's rows: those found, those made so far frame by frame, and inputs waiting for a full batch.

    Columns that apply the same maker to different roles share one, and so share its rows.
    """

    extractor: Extractor
    found: dict[str, Row] = field(default_factory=dict)
    made: dict[tuple[str, int], Row] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    waiting: dict[tuple[int, ...], list[tuple[str, int, Tensor]]] = field(default_factory=lambda: defaultdict(list))
    asked: set[str] = field(default_factory=set)
    problem: str = ""

    def wants(self, key: str) -> bool:
        """Whether this row is still to be made, and not already on its way from equal content."""
        if key in self.found or key in self.asked:
            return False
        self.asked.add(key)
        return True

    def take(self, key: str, prepared: Tensor) -> None:
        """(f, …) inputs of one row, one per frame."""
        self.frames[key] = len(prepared)
        for frame, each in enumerate(prepared):
            group = self.waiting[tuple(each.shape)]
            group.append((key, frame, each))
            if len(group) == self.extractor.batch_for(each):
                self._forward(self.waiting.pop(tuple(each.shape)))

    def finish(self) -> None:
        for group in self.waiting.values():
            self._forward(group)
        self.waiting.clear()

    def row(self, key: str, *, moving: bool) -> Row:
        """One row; of a video, its frames' rows in a stack."""
        if key in self.found:
            return self.found[key]
        if moving:
            return np.stack([self.made[key, frame] for frame in range(self.frames[key])])
        return self.made[key, 0]

    def _forward(self, group: list[tuple[str, int, Tensor]]) -> None:
        inputs = torch.stack([each for _, _, each in group])
        missing = self.extractor.batch_for(inputs[0]) - len(group)
        if missing:
            inputs = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        rows = self.extractor.forward(inputs)[: len(group)].float().cpu().numpy()
        self.made.update({(key, frame): np.array(row) for (key, frame, _), row in zip(group, rows, strict=True)})


@dataclass(frozen=True)
class _Filling:
    """One column while it fills: its maker's rows, what each is made of and the keys they go by."""

    making: _Making
    roles: tuple[Role, ...]
    keys: tuple[str, ...]
    moving: bool

    def rows(self) -> NDArray[np.float32]:
        return np.stack([self.making.row(key, moving=self.moving) for key in self.keys])


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
        spare_others: bool,
    ) -> None:
        self.protocol, self.weights, self.device, self.batch, self.threads = protocol, weights, device, batch, threads
        self.on_progress, self.should_stop, self.spare_others = on_progress, should_stop, spare_others
        self.seconds = dict.fromkeys(("decode", "wait", "prepare", "forward"), 0.0)
        self.decoded = 0

    def run(self, subjects: Sequence[Subject], columns: Sequence[str], cached: Lookup) -> Block:
        fingerprints = {column: self.protocol.column_fingerprint(column) for column in columns}
        filling = self._open_columns(subjects, fingerprints, cached)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.perf_counter()
        with torch.inference_mode(), _exact_convolutions():
            self._feed(subjects, list(filling.values()))
            for column in filling.values():
                with self._timed("forward"):
                    column.making.finish()
        self.seconds["wall"] = time.perf_counter() - start
        self.on_progress(len(subjects))
        whole = {name: column for name, column in filling.items() if not column.making.problem}
        return Block(
            keys=tuple(subject.key for subject in subjects),
            columns={name: column.rows() for name, column in whole.items()},
            row_keys={name: column.keys for name, column in whole.items()},
            fingerprints={name: fingerprints[name] for name in whole},
            efficiency=self._efficiency(len(subjects)),
            problems={name: column.making.problem for name, column in filling.items() if name not in whole},
        )

    def _open_columns(
        self, subjects: Sequence[Subject], fingerprints: dict[str, str], cached: Lookup
    ) -> dict[str, _Filling]:
        makings: dict[str, _Making] = {}
        filling = {}
        for name, fingerprint in fingerprints.items():
            if fingerprint not in makings:
                extractor = load_extractor(name, self.protocol, self.weights, self.device, self.batch)
                makings[fingerprint] = _Making(extractor)
            making, column = makings[fingerprint], COLUMNS[name]
            keys = tuple(subject.content(column.roles) for subject in subjects)
            making.found.update(cached(fingerprint, list(dict.fromkeys(keys))))
            filling[name] = _Filling(making, column.roles, keys, self.protocol.moving and column.reads_pictures)
        return filling

    def _feed(self, subjects: Sequence[Subject], filling: list[_Filling]) -> None:
        wanted = [
            [column for column in filling if column.making.wants(column.keys[index])] for index in range(len(subjects))
        ]
        # Closed at once on an error, so that no decoding goes on behind it.
        with closing(self._decoded(subjects, wanted)) as arriving:
            for index, pictures in arriving:
                if self.should_stop():
                    raise Stopped(
                        "The pass was asked to stop, so its results were dropped; start it again to have them."
                    )
                for column in wanted[index]:
                    self._take(column, column.keys[index], subjects[index], pictures)
                self.on_progress(index)

    def _take(self, column: _Filling, key: str, subject: Subject, pictures: dict[Role, Tensor]) -> None:
        if column.making.problem:
            return
        inputs = [subject.text(role) if role.is_text else pictures[role] for role in column.roles]
        try:
            with self._timed("prepare"):
                prepared = column.making.extractor.prepare(subject.title, *inputs)
        except BadInput as misfit:
            if not self.spare_others:
                raise
            column.making.problem = str(misfit)
            return
        with self._timed("forward"):
            column.making.take(key, prepared)

    def _decoded(
        self, subjects: Sequence[Subject], wanted: list[list[_Filling]]
    ) -> Generator[tuple[int, dict[Role, Tensor]], None, None]:
        """Each subject in order with its pictures on the device, decoded a few subjects ahead by threads."""
        ahead: deque[tuple[int, dict[Role, Future[tuple[Pixels, float]]]]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            try:
                for index, subject in enumerate(subjects):
                    roles = _pictures_of(wanted[index])
                    ahead.append((index, {role: pool.submit(self._decode, subject, role) for role in roles}))
                    if len(ahead) > 2 * self.threads:
                        yield self._arrived(*ahead.popleft())
                while ahead:
                    yield self._arrived(*ahead.popleft())
            finally:
                for _, futures in ahead:
                    for future in futures.values():
                        future.cancel()

    def _decode(self, subject: Subject, role: Role) -> tuple[Pixels, float]:
        """(f, h, w, 3) pixels of one picture and the seconds that took; runs in a thread."""
        start = time.perf_counter()
        picture = subject.picture(role)
        assert picture is not None  # `_check_needs` has seen to it
        name = subject.title if role is Role.SAMPLE else f"The {role} of {subject.title}"
        with picture.open() as file:
            if self.protocol.moving:
                pixels = decode_video(file, name=name, frames=self.protocol.frames)
            else:
                pixels = decode_image(file, name=name)[None]
        return pixels, time.perf_counter() - start

    def _arrived(self, index: int, futures: dict[Role, Future[tuple[Pixels, float]]]) -> tuple[int, dict[Role, Tensor]]:
        with self._timed("wait"):
            arrived = {role: future.result() for role, future in futures.items()}
        self.decoded += len(arrived)
        self.seconds["decode"] += sum(seconds for _, seconds in arrived.values())
        with self._timed("prepare"):
            # (f, 3, h, w) uint8; the memory stays interleaved as decoded.
            return index, {
                role: torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
                for role, (pixels, _) in arrived.items()
            }

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


def _pictures_of(columns: Sequence[_Filling]) -> list[Role]:
    """What has to be decoded for these columns, each picture once."""
    return list(dict.fromkeys(role for column in columns for role in column.roles if not role.is_text))


def _process_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _exact_convolutions() -> Iterator[None]:
    """Full float32 and one algorithm per shape on a GPU, so that a row does not depend on the run."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
