"""Where the work of a pass is done: on the cores of a CPU, or on a GPU with threads that decode ahead of it."""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.engine.devices import is_out_of_memory, measured_batch, new_event, new_stream
from metrics.engine.errors import BadInput
from metrics.engine.extractors import Extractor
from metrics.engine.onepass.filling import Batch

Rows = NDArray[np.float32]
Result = TypeVar("Result")
Made = TypeVar("Made")
"""What a forward pass leaves behind until its rows are fetched."""

STAGES = ("decode", "transfer", "resize", "forward")


class Lanes(ABC, Generic[Made]):
    """Runs jobs in threads and batches on the device, and adds up the seconds of each stage.

    Attributes: count: forward passes side by side. ahead: how many jobs may be under way or wait to be asked for.
    """

    count = 1

    def __init__(self, threads: int) -> None:
        self.ahead = 2 * threads + 1
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "pass", initializer=torch.set_num_threads, initargs=(1,))
        self._under_way: deque[Future[list[tuple[Batch, Made]]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @abstractmethod
    def start(self, job: Callable[[], Result]) -> Future[Result]:
        """Has a job done by a thread."""

    @abstractmethod
    def timed(self, stage: str) -> AbstractContextManager[None]:
        """Adds what a job does inside to a stage."""

    @abstractmethod
    def batch_size(self, extractor: Extractor, example: Tensor) -> int:
        """With how many inputs like `example` the extractor's forward passes start out."""

    @abstractmethod
    def run(self, batch: Batch) -> None:
        """Has a batch computed; returns when not too many are under way. The rows go to the batch's making."""

    @abstractmethod
    def _forward(self, batch: Batch) -> Made: ...

    @abstractmethod
    def _rows(self, made: Made) -> Rows: ...

    def finish(self) -> None:
        """Returns when all batches are done."""
        self._fetch(leave=0)

    def _fetch(self, *, leave: int) -> None:
        while len(self._under_way) > leave:
            for batch, made in self._under_way.popleft().result():
                batch.making.put(batch, self._rows(made))

    def _add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self.seconds[stage] += seconds

    def _forward_or_halve(self, batch: Batch) -> list[tuple[Batch, Made]]:
        try:
            return [(batch, self._forward(batch))]
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if batch.size == 1:
                raise BadInput(
                    f"A single input of “{batch.making.name}” needs more memory than there is free; send smaller "
                    "pictures, or give the worker more memory."
                ) from error
        # Only here, outside `except`, is the failed batch's own memory free again.
        if batch.inputs[0].is_cuda:
            torch.cuda.empty_cache()
        return [made for half in batch.making.halve(batch) for made in self._forward_or_halve(half)]


class CpuLanes(Lanes[Rows]):
    """Each core decodes, resizes and runs whole batches by itself."""

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        self.count = cores

    def start(self, job: Callable[[], Result]) -> Future[Result]:
        return self._pool.submit(torch.inference_mode()(job))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._add(stage, time.perf_counter() - start)

    def batch_size(self, extractor: Extractor, example: Tensor) -> int:
        return extractor.batch_for(example)

    def run(self, batch: Batch) -> None:
        self._under_way.append(self.start(lambda: self._forward_or_halve(batch)))
        self._fetch(leave=2 * self.count)

    def _forward(self, batch: Batch) -> Rows:
        with self.timed("forward"):
            rows: Rows = batch.making.extractor.forward(batch.stacked()).float().numpy()
            return rows

    def _rows(self, made: Rows) -> Rows:
        return made


@dataclass(frozen=True)
class OnGpu:
    """Rows on the device, and when their forward pass began and ended there."""

    rows: Tensor
    began: torch.cuda.Event
    ended: torch.cuda.Event


class GpuLanes(Lanes[OnGpu]):
    """Threads decode, copy and resize, each in a stream of its own; the pass's own thread runs the batches.

    Args: chosen: whether the caller chose the batch size, so that it is not measured.
    """

    def __init__(self, device: torch.device, threads: int, *, chosen: bool) -> None:
        super().__init__(threads)
        self._device, self._chosen = device, chosen
        self._own = threading.local()

    def start(self, job: Callable[[], Result]) -> Future[Result]:
        return self._pool.submit(self._in_own_stream, job)

    def _in_own_stream(self, job: Callable[[], Result]) -> Result:
        if not hasattr(self._own, "stream"):
            self._own.stream = new_stream(self._device)
        self._own.spans = []
        with torch.inference_mode(), torch.cuda.stream(self._own.stream):
            result = job()
            # So that whoever gets the result may use it at once; other threads go on meanwhile.
            self._own.stream.synchronize()
        for stage, began, ended in self._own.spans:
            self._add(stage, began.elapsed_time(ended) / 1000)
        return result

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start, began = time.perf_counter(), new_event(timed=True)
        yield
        if stage == "decode":
            self._add(stage, time.perf_counter() - start)
        else:
            self._own.spans.append((stage, began, new_event(timed=True)))

    def batch_size(self, extractor: Extractor, example: Tensor) -> int:
        most = extractor.batch_for(example)
        if self._chosen or most == 1:
            return most
        with torch.compiler.set_stance("force_eager"):
            return measured_batch(extractor.forward, example, most)

    def run(self, batch: Batch) -> None:
        done: Future[list[tuple[Batch, OnGpu]]] = Future()
        done.set_result(self._forward_or_halve(batch))
        self._under_way.append(done)
        # The device has the next batch before the rows of the last are waited for.
        self._fetch(leave=2)

    def _forward(self, batch: Batch) -> OnGpu:
        stream = torch.cuda.current_stream(self._device)
        for each in batch.inputs:
            # They were made in other streams, which would else take their memory back too early.
            each.record_stream(stream)
        began = new_event(timed=True)
        # A copy: what a CUDA graph gives is written over by its next run.
        rows = batch.making.extractor.forward(batch.stacked()).to(torch.float32, copy=True)
        return OnGpu(rows, began, new_event(timed=True))

    def _rows(self, made: OnGpu) -> Rows:
        rows: Rows = made.rows.cpu().numpy()
        self._add("forward", made.began.elapsed_time(made.ended) / 1000)
        return rows
