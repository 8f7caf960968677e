"""Edited pictures: LPIPS and PSNR outside a mask, CLIP similarities of pictures and of an edit's direction."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

import lpips as their_package
import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from metrics.engine.blocks import Block, rows_of
from metrics.engine.checkpoints import read_safetensors
from metrics.engine.errors import BadInput
from metrics.engine.extractors import pinned
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol, named
from metrics.engine.scores import merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, RandomClip, bits, degraded, encoded, picture, subject
from tests.engine.test_lpips import their_input, their_lpips

OUTSIDE = ["lpips_outside", "psnr_outside"]
SIMILARITIES = ["clip_image_similarity", "clip_directional", "clip_score"]


def edit(sample: Pixels, source: Pixels, mask: Pixels, name: str = "") -> Subject:
    return replace(
        subject(encoded(sample), encoded(source), name=name),
        source=picture(encoded(source)),
        mask=picture(encoded(mask)),
    )


def cell_shares(outside: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float64]:
    """How much of each cell lies outside, counted cell by cell."""
    tall, wide = outside.shape
    shares = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            cell = outside[
                floor(row * tall / height) : ceil((row + 1) * tall / height),
                floor(column * wide / width) : ceil((column + 1) * wide / width),
            ]
            shares[row, column] = cell.mean()
    return shares


def test_outside_a_mask_each_equals_a_plain_loop(photographs: list[Pixels], weights: Weights, clean: Protocol) -> None:
    pictures = photographs[:6]
    masks = [np.zeros_like(each) for each in pictures]
    for index, mask in enumerate(masks):
        mask[10 : 30 + 8 * index, 5:60] = 255
    subjects = [edit(degraded(a), a, mask) for a, mask in zip(pictures, masks, strict=True)]
    block = compute_block(subjects, metrics=OUTSIDE, protocol=clean, weights=weights)
    lpips, psnr = merge_scores([block], metrics=OUTSIDE, protocol=clean)

    theirs = their_lpips("alex", read_safetensors(weights.require("lpips-alexnet")))
    for index, (source, mask) in enumerate(zip(pictures, masks, strict=True)):
        outside = mask[:, :, 0] == 0
        sample = np.where(outside[:, :, None], degraded(source), source)
        expected = 0.0
        with torch.inference_mode():
            ours, reals = (theirs.net(theirs.scaling_layer(their_input(each))) for each in (sample, source))
            for head, a, b in zip(theirs.lins, ours, reals, strict=True):
                units = [their_package.normalize_tensor(each) for each in (a, b)]
                distances = head((units[0] - units[1]) ** 2)[0, 0].numpy()
                shares = cell_shares(outside, *distances.shape)
                expected += float((distances * shares).sum() / shares.sum())
        assert lpips.per_sample is not None
        assert lpips.per_sample[index] == pytest.approx(expected, abs=1e-4)

        error = np.square(degraded(source).astype(float) - source)[outside].mean()
        assert psnr.per_sample is not None
        assert psnr.per_sample[index] == pytest.approx(10 * log10(255**2 / error), abs=1e-4)


def test_what_happens_inside_the_mask_changes_nothing(
    photographs: list[Pixels], weights: Weights, clean: Protocol
) -> None:
    source = photographs[0]
    mask, other = np.zeros_like(source), degraded(source)
    mask[20:50, 20:50] = 255
    other[20:50, 20:50] = np.random.default_rng(1).integers(0, 256, (30, 30, 3))
    subjects = [edit(degraded(source), source, mask), edit(other, source, mask)]
    block = compute_block(subjects, metrics=OUTSIDE, protocol=clean, weights=weights)
    for rows in block.columns.values():
        assert rows[0] == rows[1]


def test_an_empty_mask_gives_the_plain_metric(photographs: list[Pixels], weights: Weights, clean: Protocol) -> None:
    subjects = [edit(degraded(each), each, np.full_like(each, 127)) for each in photographs[:4]]
    metrics = ["lpips", "psnr", *OUTSIDE]
    block = compute_block(subjects, metrics=metrics, protocol=clean, weights=weights)
    lpips, psnr, lpips_outside, psnr_outside = merge_scores([block], metrics=metrics, protocol=clean)
    assert lpips_outside.per_sample == pytest.approx(lpips.per_sample, abs=1e-6)
    assert bits(psnr_outside) == bits(psnr)
    assert block.efficiency.decoded == 4 * 3, "the sample, the mask, and the source that is also the reference"


def test_masks_that_cannot_be_used_are_told(photographs: list[Pixels], weights: Weights, clean: Protocol) -> None:
    source = photographs[0]
    height, width = source.shape[:2]
    for metric, title in (("lpips_outside", "LPIPS"), ("psnr_outside", "PSNR")):
        everything = edit(source, source, np.full_like(source, 128), name="all.png")
        with pytest.raises(BadInput) as refusal:
            compute_block([everything], metrics=[metric], protocol=clean, weights=weights)
        assert str(refusal.value) == (
            f"The mask of all.png covers the whole picture and {title} outside the mask compares what lies outside it; "
            "send a mask with some black."
        )
        narrow = edit(source, source, np.zeros((height, width - 1, 3), np.uint8), name="narrow.png")
        with pytest.raises(BadInput) as refusal:
            compute_block([narrow], metrics=[metric], protocol=clean, weights=weights)
        assert str(refusal.value) == (
            f"narrow.png is {width} × {height} pixels and its mask {width - 1} × {height}; "
            f"{title} outside the mask compares pictures of one size, so send the mask at that size."
        )
        alone = replace(everything, mask=None)
        with pytest.raises(BadInput, match=rf"^all\.png has no mask, which {title} outside the mask"):
            compute_block([alone], metrics=[metric], protocol=clean, weights=weights)


@pytest.fixture(scope="module")
def directed(photographs: list[Pixels]) -> list[Subject]:
    """Eight edits with captions; in the last two the sample is its source, or the captions are equal."""
    made = []
    for index, source in enumerate(photographs[:8]):
        sample = source if index == 6 else degraded(source)
        made.append(
            replace(
                edit(sample, source, np.zeros_like(source)),
                caption="A picture of something" if index == 7 else f"Photograph {index} in the rain",
                source_caption="A picture of something" if index == 7 else f"Photograph {index}",
            )
        )
    return made


@pytest.fixture(scope="module")
def clip_protocol(clip_weights: Weights) -> Protocol:
    return pinned(named(), clip_weights)


@pytest.fixture(scope="module")
def whole(directed: Sequence[Subject], clip_weights: Weights, clip_protocol: Protocol) -> Block:
    return compute_block(directed, metrics=SIMILARITIES, protocol=clip_protocol, weights=clip_weights)


def test_each_similarity_equals_a_plain_open_clip_loop(
    photographs: list[Pixels],
    directed: Sequence[Subject],
    whole: Block,
    random_clip: RandomClip,
    clip_protocol: Protocol,
) -> None:
    transform = open_clip.image_transform(224, is_train=False)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")

    def see(pictures: Sequence[Pixels]) -> Any:
        batch = torch.stack([transform(Image.fromarray(each)) for each in pictures])
        return random_clip.model.encode_image(batch, normalize=True)

    def read(texts: Sequence[str | None]) -> Any:
        return random_clip.model.encode_text(tokenizer([each or "" for each in texts]), normalize=True)

    with torch.inference_mode():
        samples, sources = see([degraded(each) for each in photographs[:6]]), see(photographs[:6])
        texts = read([each.caption for each in directed[:6]]), read([each.source_caption for each in directed[:6]])
        alike = (samples * sources).sum(dim=1)
        along = torch.nn.functional.cosine_similarity(samples - sources, texts[0] - texts[1])

    similarity, directional, _ = merge_scores([whole], metrics=SIMILARITIES, protocol=clip_protocol)
    assert similarity.per_sample is not None
    assert directional.per_sample is not None
    assert similarity.per_sample[:6] == pytest.approx(alike.numpy(), abs=1e-3)
    assert directional.per_sample[:6] == pytest.approx(along.numpy(), abs=1e-3)
    assert similarity.value == similarity.per_sample.mean()


def test_an_edit_without_direction_counts_as_nothing_and_is_told(whole: Block, clip_protocol: Protocol) -> None:
    (score,) = merge_scores([whole], metrics=["clip_directional"], protocol=clip_protocol)
    assert score.per_sample is not None
    assert score.per_sample[6:].tolist() == [0, 0]
    assert np.abs(score.per_sample[:6]).min() > 0
    assert score.per_sample_details["unedited"].tolist() == [False] * 6 + [True, False]
    assert score.per_sample_details["equal_captions"].tolist() == [False] * 7 + [True]
    assert score.details == {"unedited": 1, "equal_captions": 1, "captions_cut": 0}
    assert score.warnings[1:] == (
        "1 sample looks the same to CLIP as the source does, so the edit has no direction and counts as 0.",
        "1 of the captions says what the source caption says, so there is no direction to follow and the sample "
        "counts as 0; write what changes.",
    )


def test_one_picture_has_one_embedding_whatever_part_it_plays(
    directed: Sequence[Subject], whole: Block, clip_weights: Weights, clip_protocol: Protocol
) -> None:
    assert np.array_equal(whole.columns["clip_source"], whole.columns["clip_reference"])
    assert np.array_equal(whole.columns["clip_source"][6], whole.columns["clip_image"][6])
    assert whole.fingerprints["clip_source"] == whole.fingerprints["clip_image"]
    # The sources were seen before, as samples of another run.
    sources = [Subject(each.source.key, each.source.open) for each in directed if each.source]
    seen = replace(
        whole,
        columns={"clip_image": whole.columns["clip_source"]},
        row_keys={"clip_image": tuple(each.key for each in sources)},
    )
    again = compute_block(
        directed,
        metrics=["clip_image_similarity", "clip_directional"],
        protocol=clip_protocol,
        weights=clip_weights,
        cached=rows_of([seen]),
    )
    assert again.efficiency.decoded == 7, "the samples but the one that is its own source"
    assert all(np.allclose(again.columns[name], whole.columns[name], atol=1e-5) for name in again.columns)


def test_shards_do_not_change_a_bit_and_batches_little(
    directed: Sequence[Subject], whole: Block, clip_weights: Weights, clip_protocol: Protocol
) -> None:
    seven = [
        compute_block(directed[start:end], metrics=SIMILARITIES, protocol=clip_protocol, weights=clip_weights)
        for start, end in pairwise([0, 1, 2, 3, 4, 5, 6, 8])
    ]
    one, other = (merge_scores(each, metrics=SIMILARITIES, protocol=clip_protocol) for each in ([whole], seven))
    for a, b in zip(one, other, strict=True):
        assert (b.value, b.low, b.high, b.details) == (a.value, a.low, a.high, a.details)
        assert bits(b) == bits(a)
    odd = compute_block(directed, metrics=SIMILARITIES, protocol=clip_protocol, weights=clip_weights, batch_size=3)
    for column, rows in odd.columns.items():
        np.testing.assert_allclose(rows, whole.columns[column], rtol=1e-4, atol=1e-5)
