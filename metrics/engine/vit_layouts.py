"""Checkpoints of vision transformers in the names of `vit`: DINOv2's release files, and the seeing half of CLIP's.

Tensors keep the checkpoint's own precision. Names: patches, first (the class token), positions, before, after,
projection; per block norm_1, into (queries, keys and values), out, scale_1, norm_2, up, down, scale_2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics.engine.checkpoints import Tensors, read_safetensors, read_torch_archive
from metrics.engine.errors import WrongWeights

_ANOTHER = ("register_tokens", "blocks.", "visual.")
"""What a checkpoint of another architecture has more."""

Wanted = Mapping[str, tuple[str, tuple[int, ...]]]
"""A checkpoint's name → ours, and the shape without leading ones."""


@dataclass(frozen=True)
class VitShape:
    """What a checkpoint must hold.

    Attributes: grid: patches a side for which positions were learnt. projected: the embedding's width, 0 for none.
    """

    title: str
    width: int
    depth: int
    grid: int
    projected: int = 0
    patch: int = 14


DINOV2_LARGE = VitShape("DINOv2 ViT-L/14 without registers", width=1024, depth=24, grid=37)
CLIP_LARGE = VitShape("CLIP ViT-L/14-336", width=1024, depth=24, grid=24, projected=768)


def from_dinov2(path: Path) -> Tensors:
    """A DINOv2 checkpoint as Meta released it. Its mask token, which only training uses, is left out."""
    shape = DINOV2_LARGE
    width, (into, out, up, down) = shape.width, _matrices(shape)
    wanted = {
        "cls_token": ("first", (width,)),
        "pos_embed": ("positions", (shape.grid**2 + 1, width)),
        "patch_embed.proj.weight": ("patches.weight", (width, 3, shape.patch, shape.patch)),
        "patch_embed.proj.bias": ("patches.bias", (width,)),
        **_pair("norm", "after", (width,)),
    }
    for index in range(shape.depth):
        theirs = ours = f"blocks.{index}"
        wanted |= {f"{theirs}.ls{part}.gamma": (f"{ours}.scale_{part}", (width,)) for part in (1, 2)}
        for name, our_name, size in (
            ("norm1", "norm_1", (width,)),
            ("attn.qkv", "into", into),
            ("attn.proj", "out", out),
            ("norm2", "norm_2", (width,)),
            ("mlp.fc1", "up", up),
            ("mlp.fc2", "down", down),
        ):
            wanted |= _pair(f"{theirs}.{name}", f"{ours}.{our_name}", size)
    return _taken(path, wanted, shape)


def from_clip_large(path: Path) -> Tensors:
    """A CLIP checkpoint in open_clip's layout or OpenAI's TorchScript; only what sees pictures is taken."""
    shape = CLIP_LARGE
    width, (into, out, up, down) = shape.width, _matrices(shape)
    wanted = {
        "visual.class_embedding": ("first", (width,)),
        "visual.positional_embedding": ("positions", (shape.grid**2 + 1, width)),
        "visual.conv1.weight": ("patches.weight", (width, 3, shape.patch, shape.patch)),
        "visual.proj": ("projection", (width, shape.projected)),
        **_pair("visual.ln_pre", "before", (width,)),
        **_pair("visual.ln_post", "after", (width,)),
    }
    for index in range(shape.depth):
        theirs, ours = f"visual.transformer.resblocks.{index}", f"blocks.{index}"
        wanted |= {
            f"{theirs}.attn.in_proj_weight": (f"{ours}.into.weight", into),
            f"{theirs}.attn.in_proj_bias": (f"{ours}.into.bias", into[:1]),
        }
        for name, our_name, size in (
            ("ln_1", "norm_1", (width,)),
            ("attn.out_proj", "out", out),
            ("ln_2", "norm_2", (width,)),
            ("mlp.c_fc", "up", up),
            ("mlp.c_proj", "down", down),
        ):
            wanted |= _pair(f"{theirs}.{name}", f"{ours}.{our_name}", size)
    return _taken(path, wanted, shape)


def _matrices(shape: VitShape) -> tuple[tuple[int, int], ...]:
    width = shape.width
    return (3 * width, width), (width, width), (4 * width, width), (width, 4 * width)


def _pair(theirs: str, ours: str, size: tuple[int, ...]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """A layer's weight of that size, and its bias."""
    return {f"{theirs}.weight": (f"{ours}.weight", size), f"{theirs}.bias": (f"{ours}.bias", size[:1])}


def _taken(path: Path, wanted: Wanted, shape: VitShape) -> Tensors:
    read = read_safetensors if path.suffix == ".safetensors" else read_torch_archive
    found = {
        name.removeprefix("state_dict.").removeprefix("module."): array
        for name, array in read(path).items()
        if not name.startswith("optimizer.")
    }
    if found.keys() == {ours for ours, _ in wanted.values()}:
        # Already converted, in another weights folder.
        wanted = {ours: (ours, size) for ours, size in wanted.values()}
    odd = [name for name, (_, size) in wanted.items() if name not in found or _bare(found[name].shape) != size]
    # A deeper network of the same width, or one with registers, would pass for this one otherwise.
    odd += [name for name in found if name not in wanted and name.startswith(_ANOTHER)]
    if odd:
        raise WrongWeights(
            f"{path.name} is not a {shape.title}: {len(odd):,} tensors differ, the first is “{odd[0]}”; import a "
            "checkpoint of that architecture."
        )
    return {ours: np.ascontiguousarray(found[theirs]).reshape(size) for theirs, (ours, size) in wanted.items()}


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the ones before its first real dimension: DINOv2 keeps places for a batch."""
    return _bare(shape[1:]) if len(shape) > 1 and shape[0] == 1 else shape
