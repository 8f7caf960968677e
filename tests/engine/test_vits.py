"""The networks of CMMD and FD-DINOv2, small and random: the path against independent definitions, not the real weights.

The real checkpoints weigh more than a gigabyte and no package carries them; they were not available where these tests
were written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from timm.models.vision_transformer import VisionTransformer as TimmVit
from torch import Tensor, nn
from torchvision.transforms import functional as transforms

from metrics.engine import vit_layouts
from metrics.engine.blocks import Block
from metrics.engine.cmmd import CmmdReducer
from metrics.engine.errors import MissingWeights, WrongWeights
from metrics.engine.extractors import pinned
from metrics.engine.frechet import frechet_distance
from metrics.engine.moments import Moments
from metrics.engine.onepass import compute_block
from metrics.engine.protocol import Protocol, named
from metrics.engine.references import reference_from_blocks
from metrics.engine.scores import merge_scores
from metrics.engine.subjects import Subject
from metrics.engine.vit import DINOV2, VisionTransformer
from metrics.engine.weights import Weights
from tests.engine.conftest import Pixels, degraded

METRICS = ["cmmd", "fd_dinov2"]
WIDTH, DEPTH, EMBEDDING = 128, 2, 32


def shaken(network: nn.Module) -> nn.Module:
    """Every tensor drawn anew, so that none is a zero or a one that hides a mistake."""
    draws = torch.Generator().manual_seed(5)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.dim() < 2 else 0.06, generator=draws)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def dinov2() -> TimmVit:
    """timm's definition of DINOv2, at DINOv2's own 518 pixels."""
    network = TimmVit(
        img_size=518, patch_size=14, embed_dim=WIDTH, depth=DEPTH, num_heads=2, init_values=1.0, num_classes=0,
        global_pool="token",
    )  # fmt: skip
    shaken(network)
    return network


@pytest.fixture(scope="module")
def clip_large() -> open_clip.CLIP:
    """open_clip's definition, as small as WIDTH and DEPTH make it, with 336 pixels and patches of 14."""
    network = open_clip.CLIP(
        EMBEDDING,
        {"image_size": 336, "layers": DEPTH, "width": WIDTH, "patch_size": 14},
        {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    )
    shaken(network)
    return network


@pytest.fixture(scope="module")
def small_weights(
    dinov2: TimmVit, clip_large: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weights]:
    """A weights folder with both, imported from files as an operator has them."""
    home = tmp_path_factory.mktemp("vits")
    released = {**dinov2.state_dict(), "mask_token": torch.zeros(1, WIDTH)}
    torch.save(released, home / "dinov2_vitl14_pretrain.pth")
    torch.save({"state_dict": clip_large.state_dict()}, home / "clip.pt")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DINOV2_LARGE", "CLIP_LARGE"):
            shape = getattr(vit_layouts, name)
            projected = EMBEDDING if shape.projected else 0
            patch.setattr(vit_layouts, name, replace(shape, width=WIDTH, depth=DEPTH, projected=projected))
        weights = Weights(home / "weights")
        weights.import_file("dinov2-vit-l-14", home / "dinov2_vitl14_pretrain.pth")
        weights.import_file("clip-vit-l-14-336", home / "clip.pt")
        yield weights


@pytest.fixture(scope="module")
def protocol(small_weights: Weights) -> Protocol:
    return pinned(named(), small_weights)


@pytest.fixture(scope="module")
def block(subjects: Sequence[Subject], small_weights: Weights, protocol: Protocol) -> Block:
    return compute_block(subjects[:24], metrics=METRICS, protocol=protocol, weights=small_weights)


def positions_on(grid: int, learnt: Tensor) -> Tensor:
    """The learnt positions sampled at DINOv2's points: (i + ½) / ((grid + 0.1) / 37) - ½, by bicubic interpolation."""
    side = 37
    plane = learnt[0, 1:].T.reshape(1, -1, side, side)
    points = (torch.arange(grid) + 0.5) * side / (grid + 0.1)
    points = 2 * points / side - 1
    down, across = torch.meshgrid(points, points, indexing="ij")
    where = torch.stack([across, down], dim=-1)[None]
    sampled = F.grid_sample(plane, where, mode="bicubic", padding_mode="border", align_corners=False)
    return torch.cat([learnt[:, :1], sampled.flatten(2).transpose(1, 2)], dim=1)


def test_dinov2_features_are_those_of_timms_definition(
    dinov2: TimmVit, block: Block, photographs: Sequence[Pixels]
) -> None:
    at_224 = TimmVit(
        img_size=224, patch_size=14, embed_dim=WIDTH, depth=DEPTH, num_heads=2, init_values=1.0, num_classes=0,
        global_pool="token",
    ).eval()  # fmt: skip
    state = dinov2.state_dict()
    at_224.load_state_dict({**state, "pos_embed": positions_on(16, state["pos_embed"])})
    for index in range(4):
        image = Image.fromarray(degraded(photographs[index])).resize((224, 224), Image.Resampling.BICUBIC)
        pixels = transforms.normalize(
            transforms.to_tensor(image), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
        )
        with torch.inference_mode():
            theirs = at_224(pixels[None])[0].numpy()
        assert np.abs(block.columns["dinov2"][index] - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_positions_learnt_on_the_same_grid_are_taken_as_they_are(dinov2: TimmVit, small_weights: Weights) -> None:
    arrays = small_weights.load(
        "dinov2-vit-l-14", expected_sha256=small_weights.state("dinov2-vit-l-14").tensors_sha256
    )
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    network = VisionTransformer(tensors, replace(DINOV2, side=518))
    pictures = torch.randn(1, 3, 518, 518, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(network(pictures), dinov2(pictures), atol=1e-4)


def test_clip_embeddings_are_open_clips(
    clip_large: open_clip.CLIP, block: Block, photographs: Sequence[Pixels]
) -> None:
    for index in range(4):
        image = Image.fromarray(degraded(photographs[index]))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((336, 336), Image.Resampling.BICUBIC)
        pixels = transforms.normalize(
            transforms.to_tensor(square),
            mean=[0.48145466, 0.4578275, 0.40821073],
            std=[0.26862954, 0.26130258, 0.27577711],
        )
        with torch.inference_mode():
            theirs = clip_large.encode_image(pixels[None], normalize=True)[0].numpy()
        assert np.abs(block.columns["clip_large"][index] - theirs).max() < 1e-3


def test_cmmd_and_fd_dinov2_are_those_of_their_columns(block: Block, protocol: Protocol) -> None:
    ours, real = part_of(block, 0, 12), part_of(block, 12, 24)
    reference = reference_from_blocks([real], columns=["clip_large", "dinov2"])

    cmmd, fd = merge_scores([ours], metrics=METRICS, protocol=protocol, reference=reference)

    plain = CmmdReducer(real.columns["clip_large"])
    plain.add(ours.columns["clip_large"])
    assert cmmd.value == plain.estimate().value
    assert cmmd.details == {"unbiased": plain.without_bias()}
    moments = [Moments.of([each.columns["dinov2"]], WIDTH) for each in (ours, real)]
    assert fd.value == pytest.approx(frechet_distance(*moments), rel=1e-6)
    for score in (cmmd, fd):
        assert score.low is not None
        assert score.low < score.value
        assert score.interval.startswith("95 % jackknife")
        assert any("on 12 samples is weak" in warning for warning in score.warnings)

    in_pieces = [part_of(block, start, end) for start, end in ((0, 1), (1, 5), (5, 12))]
    again = merge_scores(in_pieces, metrics=METRICS, protocol=protocol, reference=reference)
    assert [(each.value, each.low, each.high) for each in again] == [
        (each.value, each.low, each.high) for each in (cmmd, fd)
    ]


def part_of(block: Block, start: int, end: int) -> Block:
    return replace(
        block,
        keys=block.keys[start:end],
        columns={name: rows[start:end] for name, rows in block.columns.items()},
        row_keys={name: keys[start:end] for name, keys in block.row_keys.items()},
    )


def test_an_imported_checkpoint_is_in_the_fingerprint_and_moves_between_folders(
    small_weights: Weights, protocol: Protocol, tmp_path: Path
) -> None:
    unpinned = named()
    assert all(protocol.fingerprint(metric) != unpinned.fingerprint(metric) for metric in METRICS)
    assert protocol.fingerprint("fid") == unpinned.fingerprint("fid")
    assert protocol.clip_model == ""
    elsewhere = Weights(tmp_path)
    for name in ("dinov2-vit-l-14", "clip-vit-l-14-336"):
        elsewhere.import_file(name, small_weights.require(name))
        assert elsewhere.verify(name).tensors_sha256 == small_weights.state(name).tensors_sha256


def test_another_architecture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    registers = TimmVit(img_size=518, patch_size=14, embed_dim=64, depth=1, num_heads=1, init_values=1.0, reg_tokens=4)
    torch.save(registers.state_dict(), tmp_path / "small.pth")
    weights = Weights(tmp_path / "weights")
    with pytest.raises(WrongWeights, match=r"small\.pth is not a DINOv2 ViT-L/14 without registers: .* tensors differ"):
        weights.import_file("dinov2-vit-l-14", tmp_path / "small.pth")
    with pytest.raises(WrongWeights, match=r"small\.pth is not a CLIP ViT-L/14-336: .* the first is “visual\."):
        weights.import_file("clip-vit-l-14-336", tmp_path / "small.pth")
    with pytest.raises(WrongWeights, match="“dinov2-vit-l-14” takes no model “ViT-B-32”"):
        weights.import_file("dinov2-vit-l-14", tmp_path / "small.pth", clip_model="ViT-B-32")


def test_what_no_source_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        MissingWeights, match=r"no source whose hash is known .* `python manage\.py weights import dinov2"
    ):
        Weights(tmp_path).pull("dinov2-vit-l-14")
    with pytest.raises(MissingWeights, match=r"`python manage\.py weights import clip-vit-l-14-336 FILE`"):
        Weights(tmp_path).require("clip-vit-l-14-336")
