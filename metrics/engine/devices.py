"""What differs between a CPU and a GPU: exactness, memory, and how many inputs fit."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

BATCH_ON_CPU = 4
"""Measured best within a few per cent for every network here; a larger one only pads more."""
BATCH_ON_GPU = 256
"""The most inputs in one forward pass on a GPU; fewer where its free memory holds fewer."""
_SHARE = 0.7
"""Of a GPU's free memory for one batch: the rest is for inputs on their way and for fragments."""


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU since `forget_peak`, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def most_inputs(device: torch.device) -> int:
    """The batch size to start from where the caller chose none."""
    return BATCH_ON_GPU if device.type == "cuda" else BATCH_ON_CPU


def measured_batch(forward: Callable[[Tensor], Tensor], example: Tensor, most: int) -> int:
    """How many inputs like `example` fit into the GPU's free memory, from what one and two of them took.

    Args: forward: (b, …) inputs → rows. example: one input on the GPU, without a batch dimension. most: no more.
    """
    one, two = (_taken(forward, example, count) for count in (1, 2))
    free, _ = torch.cuda.mem_get_info(example.device)
    unused = torch.cuda.memory_reserved(example.device) - torch.cuda.memory_allocated(example.device)
    return fitting(free + unused, fixed=max(0, 2 * one - two), each=max(1, two - one), most=most)


def fitting(free: int, *, fixed: int, each: int, most: int) -> int:
    """The largest power of two of inputs, at most `most` and at least 1, that needs no more than its share of `free`.

    Powers of two, so that two machines with about the same memory run the same batch and give the same bits. Where all
    of `most` fits, it is `most` whatever it is.
    """
    room = int((free * _SHARE - fixed) // each)
    if room >= most:
        return most
    return 1 << max(0, room.bit_length() - 1) if room > 0 else 1


def _taken(forward: Callable[[Tensor], Tensor], example: Tensor, count: int) -> int:
    inputs = example.expand(count, *example.shape).contiguous()
    before = torch.cuda.memory_allocated(example.device)
    torch.cuda.reset_peak_memory_stats(example.device)
    forward(inputs)
    torch.cuda.synchronize(example.device)
    return torch.cuda.max_memory_allocated(example.device) - before


def new_event(*, timed: bool) -> torch.cuda.Event:
    """An event, recorded in the thread's current CUDA stream."""
    make: Callable[..., torch.cuda.Event] = torch.cuda.Event  # untyped in torch
    event = make(enable_timing=timed)
    event.record()
    return event


def new_stream(device: torch.device) -> torch.cuda.Stream:
    make: Callable[..., torch.cuda.Stream] = torch.cuda.Stream  # untyped in torch
    return make(device)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether `error` is torch's, for a GPU or for a CPU (which has no class of its own)."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error)


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32, sums of reduced products in float32, and one algorithm per shape, so that a row does not depend on
    the run. Says nothing on a CPU."""
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_bf16_reduced_precision_reduction, matmul.allow_fp16_reduced_precision_reduction
    matmul.allow_bf16_reduced_precision_reduction = matmul.allow_fp16_reduced_precision_reduction = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_bf16_reduced_precision_reduction, matmul.allow_fp16_reduced_precision_reduction = before


@contextmanager
def one_core_each() -> Iterator[int]:
    """The number of cores torch may use, and meanwhile one for each of its threads.

    One batch per core is faster than one batch on all cores, and its bits do not depend on their number. The setting is
    the process's: two passes at once in one process would share the cores unevenly, and change no number.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield cores
    finally:
        torch.set_num_threads(cores)
