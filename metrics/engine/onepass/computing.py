"""What others call: the rows of some samples, and the statistics of a reference set."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Required, TypedDict, Unpack

import torch

from metrics.engine.blocks import Block, Lookup, Row
from metrics.engine.columns import COLUMNS
from metrics.engine.devices import exact_arithmetic, most_inputs, one_core_each
from metrics.engine.errors import BadInput
from metrics.engine.onepass.decoding import Staging
from metrics.engine.onepass.feeding import Pass, Settings, Wanted
from metrics.engine.onepass.lanes import CpuLanes, GpuLanes, Lanes
from metrics.engine.protocol import Protocol
from metrics.engine.references import Reference, reference_from_blocks
from metrics.engine.registry import check_modality, columns_of, compared_with_sets, get_metric, reference_columns
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights


class Options(TypedDict, total=False):
    """How a pass is made, whatever it computes; what may be left out has the default that `compute_blocks` gives it.

    Attributes:
        device: “cpu”, or a GPU's name.
        batch_size: inputs in one forward pass; None for a good one, on a GPU as many as its free memory holds. Where
            memory does not suffice it is halved, and the block's efficiency says so.
        decode_threads: on a CPU, how many cores work, each for itself; on a GPU, how many decode ahead of it.
        on_progress: called with the number of subjects done so far.
        should_stop: asked between pictures; True ends the pass with `Stopped`.
        cached: rows already known; see `blocks.Lookup`.
        spare_others: a sample that does not fit one metric (of another size than its reference, say) leaves that
            metric's column out of the block, with the sentence in `Block.problems`, instead of ending the pass.
    """

    protocol: Required[Protocol]
    weights: Required[Weights]
    device: str | torch.device
    batch_size: int | None
    decode_threads: int | None
    on_progress: Callable[[int], None] | None
    should_stop: Callable[[], bool] | None
    cached: Lookup | None
    spare_others: bool


def compute_block(subjects: Sequence[Subject], *, metrics: Sequence[str], **options: Unpack[Options]) -> Block:
    """Every row that `metrics` need of `subjects`, in their order.

    Raises: BadInput, UnreadableImage, MissingWeights, WrongWeights, Mismatch, Stopped.
    """
    (block,) = compute_blocks([(subjects, metrics)], **options)
    return block


def compute_blocks(
    parts: Sequence[tuple[Sequence[Subject], Sequence[str]]],
    *,
    protocol: Protocol,
    weights: Weights,
    device: str | torch.device = "cpu",
    batch_size: int | None = None,
    decode_threads: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    cached: Lookup | None = None,
    spare_others: bool = False,
) -> list[Block]:
    """One pass over several sets, each with metrics of its own: samples and their reference set, above all. Gives one
    block for each set; a picture that is in two of them is decoded once.

    Args: parts: (subjects, metrics) of each set. The others: see `Options`.
    Returns: the blocks; each holds the efficiency of the whole pass, whose `images` counts the subjects of all sets.
    """
    for subjects, metrics in parts:
        check_modality(metrics, "video" if protocol.moving else "image")
        _check_needs(subjects, metrics)
    protocol.check_decoder()
    place = torch.device(device)
    settings = Settings(
        protocol=protocol,
        weights=weights,
        device=place,
        batch=batch_size or most_inputs(place),
        cached=cached or _nothing_known,
        on_progress=on_progress or _ignore,
        should_stop=should_stop or _never,
        spare_others=spare_others,
    )
    wanted = [Wanted(subjects, columns_of(list(metrics))) for subjects, metrics in parts]
    with torch.inference_mode(), exact_arithmetic(), one_core_each() as cores:
        lanes: Lanes[Any]
        if place.type == "cuda":
            threads = decode_threads or min(16, os.cpu_count() or 1)
            lanes = GpuLanes(place, threads, chosen=batch_size is not None)
        else:
            threads = decode_threads or cores
            lanes = CpuLanes(threads)
        with lanes:
            return Pass(settings, lanes, Staging(place, buffers=threads + 2)).run(wanted)


def compute_reference(
    subjects: Sequence[Subject], *, metrics: Sequence[str] = ("fid",), **options: Unpack[Options]
) -> Reference:
    """The statistics of a reference set, in one go, for those of `metrics` that compare with one.

    A large set can be sharded instead: blocks of those metrics, then `reference_from_blocks`, which gives the same
    bits.
    """
    block = compute_block(subjects, metrics=compared_with_sets(metrics), **options)
    return reference_from_blocks([block], columns=reference_columns(metrics))


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
