"""The pass's ways of working: cores that change no bit, batches that shrink until they fit, files that are shared."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor

from metrics.engine.devices import fitting
from metrics.engine.errors import BadInput
from metrics.engine.extractors import Extractor, load_extractor
from metrics.engine.extractors.inception import InceptionPool3
from metrics.engine.layers import Convolution, settled
from metrics.engine.networks import Inception
from metrics.engine.onepass import compute_block, decoding, feeding
from metrics.engine.protocol import Protocol, named
from metrics.engine.subjects import Picture, Subject
from metrics.engine.weights import Weights
from tests.engine.test_onepass import counting

FEW = 6


class Tight(InceptionPool3):
    """Inception on a device that holds so many inputs at once, and no more."""

    room = 2

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(batch)


def tight(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(column: str, protocol: Protocol, weights: Weights, device: torch.device, batch: int) -> Extractor:
        made = load_extractor(column, protocol, weights, device, batch)
        extractor = Tight(made.network, device, batch, protocol)
        extractor.room = room
        return extractor

    monkeypatch.setattr(feeding, "load_extractor", load)


def test_a_batch_that_does_not_fit_is_halved_done_again_and_told(
    subjects: Sequence[Subject], weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = partial(compute_block, subjects[:FEW], metrics=["fid"], protocol=named(), weights=weights)
    expected = compute(batch_size=2)
    tight(2, monkeypatch)
    block = compute(batch_size=8)
    assert np.array_equal(block.columns["inception"], expected.columns["inception"])
    assert block.efficiency.batch_size == {"inception": 2}
    assert block.efficiency.notes == (
        "inception: batch halved from 8 to 4, for want of memory",
        "inception: batch halved from 4 to 2, for want of memory",
    )


def test_an_input_that_does_not_fit_alone_ends_the_pass(
    subjects: Sequence[Subject], weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    tight(0, monkeypatch)
    with pytest.raises(BadInput, match="A single input of “inception” needs more memory than there is free"):
        compute_block(subjects[:2], metrics=["fid"], protocol=named(), weights=weights)


def test_what_fits_into_free_memory() -> None:
    assert fitting(10_000, fixed=0, each=10, most=256) == 256
    assert fitting(1_000, fixed=0, each=10, most=256) == 64
    assert fitting(1_000, fixed=300, each=10, most=256) == 32
    assert fitting(1_000, fixed=0, each=10, most=48) == 48
    assert fitting(10, fixed=100, each=10, most=256) == 1


def test_the_number_of_cores_changes_no_bit(subjects: Sequence[Subject], weights: Weights) -> None:
    one, three = (
        compute_block(
            subjects[:FEW], metrics=["fid", "lpips"], protocol=named(), weights=weights, decode_threads=threads
        )
        for threads in (1, 3)
    )
    assert three.efficiency.threads == 3
    assert all(np.array_equal(one.columns[name], three.columns[name]) for name in one.columns)


def test_a_reference_that_samples_share_is_decoded_once_while_there_is_room(
    subjects: Sequence[Subject], weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One picture against itself and against equal bytes under two names.
    shared = Picture(subjects[0].key, subjects[0].open)
    alike = [replace(subjects[0], reference=shared), replace(subjects[0], reference=subjects[0].reference)]
    opened: Counter[str] = Counter()
    block = compute_block(counting(alike, opened), metrics=["lpips"], protocol=named(), weights=weights)
    assert sum(opened.values()) == block.efficiency.decoded == 2
    assert block.columns["lpips_alex"][0] == 0

    monkeypatch.setattr(decoding, "_KEPT_BYTES", 0)
    again = compute_block(counting(alike, opened), metrics=["lpips"], protocol=named(), weights=weights)
    assert again.efficiency.decoded == 4
    assert np.array_equal(again.columns["lpips_alex"], block.columns["lpips_alex"])


def test_bfloat16_is_another_protocol_near_the_first(subjects: Sequence[Subject], weights: Weights) -> None:
    reduced = named().with_dtype("bfloat16")
    full, less = (
        compute_block(subjects[:FEW], metrics=["fid", "lpips"], protocol=protocol, weights=weights)
        for protocol in (named(), reduced)
    )
    assert less.efficiency.dtype == "bfloat16"
    assert reduced.fingerprint("fid") != named().fingerprint("fid")
    gap = np.linalg.norm(full.columns["inception"] - less.columns["inception"], axis=1)
    share = gap / np.linalg.norm(full.columns["inception"], axis=1)
    assert 1e-4 < share.max() < 0.05
    assert 0 < np.abs(full.columns["lpips_alex"] - less.columns["lpips_alex"]).max() < 0.01


def test_arithmetic_that_there_is_not(subjects: Sequence[Subject], weights: Weights) -> None:
    with pytest.raises(BadInput, match="There is no arithmetic called “int8”; choose from float32, bfloat16, float16"):
        named().with_dtype("int8")
    with pytest.raises(BadInput, match="A CPU has no float16 arithmetic of its own"):
        compute_block(subjects[:1], metrics=["fid"], protocol=named().with_dtype("float16"), weights=weights)


def test_a_convolution_keeps_a_few_layouts_and_agrees_with_torchs() -> None:
    draws = torch.Generator().manual_seed(1)
    layer = Convolution(torch.randn(8, 3, 3, 3, generator=draws), torch.randn(8, generator=draws))
    for side in range(16, 30):
        x = torch.randn(1, 3, side, side, generator=draws).contiguous(memory_format=torch.channels_last)
        plain = torch.relu(torch.conv2d(x, layer.get_buffer("weight"), layer.get_buffer("bias"), 2, (1, 1)))
        torch.testing.assert_close(layer(x, 2, (1, 1)), plain, rtol=1e-5, atol=1e-5)
    assert len(layer._laid_out) == 8


def test_networks_for_a_gpu_are_one_graph_each(weights: Weights) -> None:
    """No GPU is needed to see that nothing breaks the graph: torch traces it on a device that computes nothing."""
    nowhere = torch.device("meta")
    tensors = weights.load("inception-2015-12-05", expected_sha256=named().weights["inception-2015-12-05"])
    inception = Inception({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    shape = open_clip.get_model_config("ViT-B-32")
    shape["vision_cfg"]["layers"] = shape["text_cfg"]["layers"] = 1
    with nowhere:
        clip = open_clip.CLIP(**shape)
    for network, side in ((inception, 299), (clip.visual, 224)):
        traced = torch.compile(settled(network, nowhere, torch.bfloat16), backend="eager", fullgraph=True)
        assert traced(torch.empty(2, 3, side, side, device=nowhere)).shape[0] == 2
