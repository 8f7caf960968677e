"""How near the whole pass comes to what its own decoding and its own networks need."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch

from metrics.engine.columns import COLUMNS
from metrics.engine.devices import exact_arithmetic, most_inputs, one_core_each
from metrics.engine.extractors import Extractor, load_extractor, pinned
from metrics.engine.folders import Layout, samples_for
from metrics.engine.images import decode_image
from metrics.engine.onepass import compute_block
from metrics.engine.onepass.decoding import Staging
from metrics.engine.onepass.filling import Making
from metrics.engine.onepass.lanes import CpuLanes, GpuLanes
from metrics.engine.protocol import Protocol, named
from metrics.engine.registry import columns_of
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from tests.benchmarks import Measure, alternately
from tests.benchmarks._engine import DEVICE, PICTURES, ROUNDS, material

METRICS = ["fid", "clip_score", "lpips"]
PREPARED = 32
"""Inputs that the networks get again and again where nothing is decoded."""


def measure() -> Iterator[Measure]:
    with material(PICTURES // 2) as files:
        weights = Weights(files.weights)
        protocol = pinned(named(), weights)
        subjects = samples_for(METRICS, Layout(files.samples, reference=files.reference, captions=files.captions))
        pictures = [*sorted(files.samples.iterdir()), *sorted(files.reference.iterdir())]
        limit = _Limit(subjects, protocol, weights)
        whole, decode, forward = alternately(
            lambda: compute_block(subjects, metrics=METRICS, protocol=protocol, weights=weights, device=DEVICE),
            lambda: _decode(pictures),
            limit.forward,
            times=ROUNDS,
        )
    needed = [
        each_decode + each_forward if DEVICE == "cpu" else max(each_decode, each_forward)
        for each_decode, each_forward in zip(decode, forward, strict=True)
    ]
    yield Measure(
        f"one pass for {', '.join(METRICS)} over {len(subjects)} pairs of photographs, on {DEVICE}",
        whole,
        "decoding alone plus networks alone" if DEVICE == "cpu" else "the slower of decoding and networks alone",
        needed,
        goal=0.9,
        note=f"the ratio is the share of the limit; decoding {decode[0]:.3g} s, networks {forward[0]:.3g} s",
    )


def _decode(paths: Sequence[Path]) -> None:
    def one(path: Path) -> None:
        with path.open("rb") as file:
            decode_image(file, name=path.name)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(one, paths))


class _Limit:
    """The networks of a pass without what comes before them."""

    def __init__(self, subjects: Sequence[Subject], protocol: Protocol, weights: Weights) -> None:
        self.count, self.device = len(subjects), torch.device(DEVICE)
        self.inputs = {}
        staging = Staging(self.device, buffers=2)
        with torch.inference_mode():
            for name in columns_of(METRICS):
                extractor = load_extractor(name, protocol, weights, self.device, most_inputs(self.device))
                self.inputs[name] = (
                    extractor,
                    [extractor.prepare(each.title, *_parts(each, name, staging)) for each in subjects[:PREPARED]],
                )

    def forward(self) -> None:
        with torch.inference_mode(), exact_arithmetic(), one_core_each() as cores:
            lanes = CpuLanes(cores) if DEVICE == "cpu" else GpuLanes(self.device, 1, chosen=False)
            with lanes:
                makings = [
                    (Making(name, partial(_same, extractor), lanes.batch_size), inputs)
                    for name, (extractor, inputs) in self.inputs.items()
                ]
                for index in range(self.count):
                    for making, inputs in makings:
                        for batch in making.take(str(index), inputs[index % len(inputs)]):
                            lanes.run(batch)
                for making, _ in makings:
                    for batch in making.rest():
                        lanes.run(batch)
                lanes.finish()


def _same(extractor: Extractor) -> Extractor:
    return extractor


def _parts(subject: Subject, column: str, staging: Staging) -> list[object]:
    """What the column's extractor takes, in its order."""
    parts: list[object] = []
    for role in COLUMNS[column].roles:
        picture = None if role.is_text else subject.picture(role)
        if picture is None:
            parts.append(subject.text(role))
        else:
            with picture.open() as file:
                parts.append(staging.to_device(decode_image(file, name=subject.title)[None]))
    return parts
