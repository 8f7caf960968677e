"""DISTS, PSNR, SSIM and MS-SSIM against torchmetrics: the same weights, files and figures."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional.image as theirs
import torchmetrics.functional.image.dists as their_dists
import torchvision.models
from torch import Tensor, nn

from metrics.engine.blocks import Block
from metrics.engine.checkpoints import read_safetensors
from metrics.engine.errors import BadInput
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol, named
from metrics.engine.scores import ScoreResult, merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, bits, degraded, encoded, large_crops, picture, subject

METRICS = ["dists", "psnr", "ssim", "ms_ssim", "lpips_outside", "psnr_outside"]


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Pixels, Pixels]]:
    """Eight crops of photographs, large enough for MS-SSIM, each degraded, and as it is."""
    return [(degraded(each), each) for each in large_crops(8)]


@pytest.fixture(scope="module")
def edits(pairs: list[tuple[Pixels, Pixels]]) -> list[Subject]:
    """The pairs, the second of each being reference and source, with a mask that covers some of the upper part."""
    subjects = []
    for index, (sample, real) in enumerate(pairs):
        mask = np.zeros_like(real)
        mask[: 20 + 10 * index] = 255
        made = subject(encoded(sample), encoded(real), name=f"{index}.png")
        subjects.append(replace(made, source=made.reference, mask=picture(encoded(mask))))
    return subjects


@pytest.fixture(scope="module")
def whole(edits: Sequence[Subject], weights: Weights) -> Block:
    return compute_block(edits, metrics=METRICS, protocol=named(), weights=weights)


@pytest.fixture(scope="module")
def scores(whole: Block) -> dict[str, ScoreResult]:
    return {each.metric: each for each in merge_scores([whole], metrics=METRICS, protocol=named())}


def levels(pictures: Sequence[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def test_each_psnr_and_ssim_is_torchmetrics(pairs: list[tuple[Pixels, Pixels]], scores: dict[str, ScoreResult]) -> None:
    samples, real = (levels([pair[index] for pair in pairs]) for index in (0, 1))
    psnr = theirs.peak_signal_noise_ratio(samples, real, data_range=255.0, reduction="none", dim=(1, 2, 3))
    assert scores["psnr"].per_sample == pytest.approx(psnr.numpy(), abs=1e-4)
    for metric, their_function in (
        ("ssim", theirs.structural_similarity_index_measure),
        ("ms_ssim", theirs.multiscale_structural_similarity_index_measure),
    ):
        # In float32 its variances lose five digits: ours agree with what it computes in float64.
        ours = scores[metric].per_sample
        assert ours is not None
        # Their float64 is slow, so only two.
        for dtype, count, tolerance in ((torch.float64, 2, 1e-5), (torch.float32, 8, 2e-4)):
            a, b = samples[:count].to(dtype), real[:count].to(dtype)
            expected: Any = their_function(a, b, data_range=255.0, reduction="none")
            assert ours[:count] == pytest.approx(expected.numpy(), abs=tolerance)
    for metric in ("psnr", "ssim", "ms_ssim"):
        score = scores[metric]
        assert score.per_sample is not None
        assert score.value == score.per_sample.mean()
        assert score.low is not None
        assert score.high is not None
        assert score.low < score.value < score.high
        assert "bootstrap" in score.interval


def test_each_dists_is_torchmetrics(
    pairs: list[tuple[Pixels, Pixels]],
    scores: dict[str, ScoreResult],
    weights: Weights,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = read_safetensors(weights.require("lpips-vgg16"))

    def trunk(**_: object) -> nn.Module:
        """torchvision's own module, with our trunk in the place of the download."""
        vgg = torchvision.models.vgg16(weights=None)
        convolutions = [module for module in vgg.features.modules() if isinstance(module, nn.Conv2d)]
        for index, convolution in enumerate(convolutions):
            convolution.weight.data = torch.from_numpy(np.array(tensors[f"conv_{index}.weight"]))
            assert convolution.bias is not None
            convolution.bias.data = torch.from_numpy(np.array(tensors[f"conv_{index}.bias"]))
        return vgg

    monkeypatch.setattr(their_dists, "vgg16", trunk)
    samples, real = (levels([pair[index] for pair in pairs[:3]]) / 255 for index in (0, 1))
    expected = theirs.deep_image_structure_and_texture_similarity(samples, real)
    assert scores["dists"].per_sample is not None
    assert scores["dists"].per_sample[:3] == pytest.approx(expected.detach().numpy(), abs=1e-4)


def test_equal_pictures_are_at_the_end_of_each_scale(
    pairs: list[tuple[Pixels, Pixels]], weights: Weights, clean: Protocol
) -> None:
    same = encoded(pairs[0][1])
    metrics = ["dists", "psnr", "ssim", "ms_ssim"]
    block = compute_block([subject(same, same)], metrics=metrics, protocol=clean, weights=weights)
    values = {each.metric: each for each in merge_scores([block], metrics=metrics, protocol=clean)}
    assert values["dists"].value == pytest.approx(0, abs=1e-6)
    assert values["ssim"].value == pytest.approx(1, abs=1e-6)
    assert values["ms_ssim"].value == pytest.approx(1, abs=1e-6)
    assert values["psnr"].value == 100
    assert values["psnr"].details == {"equal_pairs": 1}
    assert "1 pair is equal pixel by pixel and counted as 100 dB, the ceiling." in values["psnr"].warnings


def test_shards_do_not_change_a_bit(edits: Sequence[Subject], whole: Block, weights: Weights) -> None:
    expected = merge_scores([whole], metrics=METRICS, protocol=named())
    edges = [0, 1, 2, 3, 4, 5, 6, 8]
    seven = [
        compute_block(edits[start:end], metrics=METRICS, protocol=named(), weights=weights)
        for start, end in pairwise(edges)
    ]
    for one, other in zip(expected, merge_scores(seven, metrics=METRICS, protocol=named()), strict=True):
        assert (other.value, other.low, other.high) == (one.value, one.low, one.high)
        assert bits(other) == bits(one)


def test_sixty_four_shards_do_not_change_a_bit(photographs: list[Pixels], weights: Weights, clean: Protocol) -> None:
    subjects = [subject(encoded(degraded(each[:48, :40])), encoded(each[:48, :40])) for each in photographs]
    metrics = ["psnr", "ssim", "lpips"]
    blocks = [
        compute_block(piece, metrics=metrics, protocol=clean, weights=weights)
        for piece in (subjects, *([each] for each in subjects))
    ]
    ours, theirs_in_pieces = (
        [(each.value, each.low, each.high) for each in merge_scores(pieces, metrics=metrics, protocol=clean)]
        for pieces in (blocks[:1], blocks[1:])
    )
    assert ours == theirs_in_pieces


@pytest.mark.parametrize(
    ("metric", "side", "sentence"),
    [
        ("dists", 15, "DISTS needs at least 16 on each side"),
        ("ssim", 10, "SSIM needs at least 11 on each side"),
        ("ms_ssim", 175, "MS-SSIM needs at least 176 on each side"),
    ],
)
def test_too_small_pictures_are_told_by_name(
    metric: str, side: int, sentence: str, photographs: list[Pixels], weights: Weights, clean: Protocol
) -> None:
    small = encoded(np.resize(photographs[0], (side, 200, 3)))
    with pytest.raises(BadInput, match=rf"^small\.png is 200 × {side} pixels; {sentence}\.$"):
        compute_block([subject(small, small, name="small.png")], metrics=[metric], protocol=clean, weights=weights)
    enough = encoded(np.resize(photographs[0], (side + 1, 200, 3)))
    block = compute_block([subject(enough, enough)], metrics=[metric], protocol=clean, weights=weights)
    assert np.isfinite(block.columns[metric]).all()


def test_a_sample_that_does_not_fit_one_metric_leaves_the_others_their_scores(
    photographs: list[Pixels], weights: Weights, clean: Protocol
) -> None:
    fits, dot = encoded(photographs[0]), encoded(photographs[1][:31, :40])
    subjects = [subject(fits, fits), subject(dot, dot, name="dot.png"), subject(fits, fits)]
    metrics = ["lpips", "psnr"]
    block = compute_block(subjects, metrics=metrics, protocol=clean, weights=weights, spare_others=True)
    block = Block.load(block.to_bytes())
    assert set(block.columns) == {"squared_error"}
    (psnr,) = merge_scores([block], metrics=["psnr"], protocol=clean)
    assert psnr.n == 3
    with pytest.raises(BadInput) as misfit:
        merge_scores([block], metrics=["lpips"], protocol=clean)
    assert str(misfit.value) == "dot.png is 40 × 31 pixels; LPIPS needs at least 32 on each side."
    assert block.problems == {"lpips_alex": str(misfit.value)}
