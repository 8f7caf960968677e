"""LPIPS against the `lpips` package: the same trunks, heads, files and figures."""

import warnings as python_warnings
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metrics.engine.checkpoints import Tensors, read_safetensors
from metrics.engine.errors import BadInput
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol
from metrics.engine.scores import merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, degraded, encoded, subject


def their_lpips(net: str, tensors: Tensors) -> Any:
    """The package's own module and heads, with our trunk in the place of the download."""
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")  # torchvision tells it that `pretrained` has a new name
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    convolutions = [module for module in theirs.net.modules() if isinstance(module, nn.Conv2d)]
    for index, convolution in enumerate(convolutions):
        convolution.weight.data = torch.from_numpy(np.array(tensors[f"conv_{index}.weight"]))
        assert convolution.bias is not None
        convolution.bias.data = torch.from_numpy(np.array(tensors[f"conv_{index}.bias"]))
    return theirs


def their_input(picture: Pixels) -> Tensor:
    return torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("metric", "net", "name", "count"), [("lpips", "alex", "lpips-alexnet", 24), ("lpips_vgg", "vgg", "lpips-vgg16", 4)]
)
def test_each_pair_equals_the_lpips_packages(
    metric: str, net: str, name: str, count: int, photographs: list[Pixels], weights: Weights, clean: Protocol
) -> None:
    tensors = read_safetensors(weights.require(name))
    theirs = their_lpips(net, tensors)
    pictures = photographs[:count]
    with torch.inference_mode():
        expected = [float(theirs(their_input(degraded(each)), their_input(each))) for each in pictures]

    subjects = [subject(encoded(degraded(each)), encoded(each)) for each in pictures]
    block = compute_block(subjects, metrics=[metric], protocol=clean, weights=weights)
    (score,) = merge_scores([block], metrics=[metric], protocol=clean)

    assert score.per_sample == pytest.approx(expected, abs=1e-4)
    assert score.value == pytest.approx(np.mean(expected), abs=1e-4)
    for index, head in enumerate(theirs.lins):
        their_head = head.model[-1].weight.detach().numpy().reshape(-1)
        assert np.array_equal(tensors[f"head_{index}"], their_head), "the heads are the package's own, bit for bit"


def test_equal_pictures_are_at_no_distance(photographs: list[Pixels], weights: Weights, clean: Protocol) -> None:
    same = encoded(photographs[0])
    block = compute_block([subject(same, same)], metrics=["lpips"], protocol=clean, weights=weights)
    assert block.columns["lpips_alex"].tolist() == [0.0]


def test_pictures_of_different_size_are_told_by_name(
    photographs: list[Pixels], weights: Weights, clean: Protocol
) -> None:
    whole, cut = encoded(photographs[0]), encoded(photographs[0][:, :-8])
    width, height = photographs[0].shape[1], photographs[0].shape[0]
    with pytest.raises(BadInput) as refusal:
        compute_block([subject(cut, whole, name="cut.png")], metrics=["lpips"], protocol=clean, weights=weights)
    assert str(refusal.value) == (
        f"cut.png is {width - 8} × {height} pixels and its reference {width} × {height}; "
        "LPIPS compares pictures of one size, so send the sample at its reference's size."
    )


def test_pictures_too_small_for_the_trunk_are_told_by_name(weights: Weights, clean: Protocol) -> None:
    dot = encoded(np.zeros((31, 40, 3), np.uint8))
    with pytest.raises(BadInput, match=r"dot\.png is 40 × 31 pixels; LPIPS needs at least 32 on each side"):
        compute_block([subject(dot, dot, name="dot.png")], metrics=["lpips"], protocol=clean, weights=weights)


def test_a_sample_without_reference_is_told_by_name(weights: Weights, clean: Protocol) -> None:
    alone: Subject = subject(encoded(np.zeros((40, 40, 3), np.uint8)), name="alone.png")
    with pytest.raises(BadInput, match=r"alone.png has no reference, which LPIPS \(AlexNet\) compares it with"):
        compute_block([alone], metrics=["lpips"], protocol=clean, weights=weights)
