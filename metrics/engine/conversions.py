"""Turns each known checkpoint layout into the engine's own names: float32, contiguous, one convention.

Inception: TensorFlow's 2015 graph names, `<path>.weight|beta|mean|var`. LPIPS: `conv_<i>.weight|bias` and `head_<i>`.
CLIP: open_clip's state-dict names, in the checkpoint's own precision.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from metrics.engine.checkpoints import (
    Tensors,
    read_numpy_pickle,
    read_safetensors,
    read_torch_archive,
    read_torch_legacy,
)
from metrics.engine.errors import WrongWeights
from metrics.engine.vit_layouts import from_clip_large, from_dinov2

# Block by block: the graph's conv names, and torch-fidelity's for the same convolutions.
_STEM = {
    "conv": "Conv2d_1a_3x3",
    "conv_1": "Conv2d_2a_3x3",
    "conv_2": "Conv2d_2b_3x3",
    "conv_3": "Conv2d_3b_1x1",
    "conv_4": "Conv2d_4a_3x3",
}
_BLOCK_35 = {
    "conv": "branch1x1",
    "tower.conv": "branch5x5_1",
    "tower.conv_1": "branch5x5_2",
    "tower_1.conv": "branch3x3dbl_1",
    "tower_1.conv_1": "branch3x3dbl_2",
    "tower_1.conv_2": "branch3x3dbl_3",
    "tower_2.conv": "branch_pool",
}
_REDUCE_17 = {
    "conv": "branch3x3",
    "tower.conv": "branch3x3dbl_1",
    "tower.conv_1": "branch3x3dbl_2",
    "tower.conv_2": "branch3x3dbl_3",
}
_BLOCK_17 = {
    "conv": "branch1x1",
    "tower.conv": "branch7x7_1",
    "tower.conv_1": "branch7x7_2",
    "tower.conv_2": "branch7x7_3",
    "tower_1.conv": "branch7x7dbl_1",
    "tower_1.conv_1": "branch7x7dbl_2",
    "tower_1.conv_2": "branch7x7dbl_3",
    "tower_1.conv_3": "branch7x7dbl_4",
    "tower_1.conv_4": "branch7x7dbl_5",
    "tower_2.conv": "branch_pool",
}
_REDUCE_8 = {
    "tower.conv": "branch3x3_1",
    "tower.conv_1": "branch3x3_2",
    "tower_1.conv": "branch7x7x3_1",
    "tower_1.conv_1": "branch7x7x3_2",
    "tower_1.conv_2": "branch7x7x3_3",
    "tower_1.conv_3": "branch7x7x3_4",
}
_BLOCK_8 = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
    "tower_2_conv": "branch_pool",
}
_BLOCKS = {
    "mixed": ("Mixed_5b", _BLOCK_35),
    "mixed_1": ("Mixed_5c", _BLOCK_35),
    "mixed_2": ("Mixed_5d", _BLOCK_35),
    "mixed_3": ("Mixed_6a", _REDUCE_17),
    "mixed_4": ("Mixed_6b", _BLOCK_17),
    "mixed_5": ("Mixed_6c", _BLOCK_17),
    "mixed_6": ("Mixed_6d", _BLOCK_17),
    "mixed_7": ("Mixed_6e", _BLOCK_17),
    "mixed_8": ("Mixed_7a", _REDUCE_8),
    "mixed_9": ("Mixed_7b", _BLOCK_8),
    "mixed_10": ("Mixed_7c", _BLOCK_8),
}
INCEPTION_CONVS: Mapping[str, str] = MappingProxyType(
    _STEM
    | {
        f"{ours}.{conv}": f"{theirs}.{name}"
        for ours, (theirs, block) in _BLOCKS.items()
        for conv, name in block.items()
    }
)
"""Every convolution of the 2015 Inception: the graph's name → torch-fidelity's."""

_DISTS_CHANNELS = 3 + 64 + 128 + 256 + 512 + 512
_FIDELITY_PARTS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}


def from_inception_torchscript(path: Path) -> Tensors:
    tensors = {name.removeprefix("net.layers."): array for name, array in read_torch_archive(path).items()}
    return _exactly(tensors, _inception_names(), path)


def from_inception_torch_fidelity(path: Path) -> Tensors:
    theirs = read_torch_archive(path)
    tensors = {
        f"{ours}.{part}": theirs[f"{name}.{their_part}"]
        for ours, name in INCEPTION_CONVS.items()
        for part, their_part in _FIDELITY_PARTS.items()
        if f"{name}.{their_part}" in theirs
    }
    return _exactly(tensors, _inception_names(), path)


def _inception_names() -> set[str]:
    return {f"{conv}.{part}" for conv in INCEPTION_CONVS for part in _FIDELITY_PARTS}


def from_lpips_flax(path: Path) -> Tensors:
    tensors: Tensors = {}
    for name, array in read_numpy_pickle(path).items():
        if conv := re.fullmatch(r"(?:AlexNet|VGG16)_0\.Conv_(\d+)\.(kernel|bias)", name):
            number, part = conv.groups()
            tensors[f"conv_{number}.{'weight' if part == 'kernel' else 'bias'}"] = (
                array.transpose(3, 2, 0, 1) if part == "kernel" else array
            )
        elif head := re.fullmatch(r"NetLinLayer_(\d)\.Conv_0\.kernel", name):
            tensors[f"head_{head[1]}"] = array.reshape(-1)
    convs = 5 if "conv_4.weight" in tensors and "conv_5.weight" not in tensors else 13
    expected = {f"conv_{i}.{part}" for i in range(convs) for part in ("weight", "bias")} | {
        f"head_{i}" for i in range(5)
    }
    return _exactly(tensors, expected, path)


def from_dists(path: Path) -> Tensors:
    """α and β of DISTS: 3 numbers for the pixels' channels, then 64, 128, 256, 512 and 512 for VGG16's layers."""
    tensors = {name: array.reshape(-1) for name, array in read_torch_legacy(path).items()}
    if any(array.size != _DISTS_CHANNELS for array in tensors.values()):
        raise WrongWeights(f"{path.name} does not hold DISTS's {_DISTS_CHANNELS:,} numbers twice; fetch it again.")
    return _exactly(tensors, {"alpha", "beta"}, path)


def from_clip(path: Path) -> Tensors:
    """A CLIP checkpoint: safetensors, a state dict saved by torch (bare or under `state_dict`), or OpenAI's
    TorchScript."""
    read = read_safetensors if path.suffix == ".safetensors" else read_torch_archive
    found = read(path)
    tensors = {
        name.removeprefix("state_dict.").removeprefix("module."): array
        for name, array in found.items()
        if not name.startswith("optimizer.")
    }
    for setting in ("input_resolution", "context_length", "vocab_size"):
        tensors.pop(setting, None)
    shapes = _clip_shapes()
    odd = sorted(name for name in shapes.keys() | tensors.keys() if name not in tensors or name not in shapes)
    odd += [name for name in sorted(shapes) if not odd and tensors[name].shape != shapes[name]]
    if odd:
        raise WrongWeights(
            f"{path.name} is not a CLIP ViT-B/32 in open_clip's layout: {len(odd):,} tensors differ, the first is "
            f"“{odd[0]}”; import a checkpoint of that architecture."
        )
    return tensors


def _clip_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor of a CLIP ViT-B/32 and its shape: 12 blocks of width 768 that see, 12 of width 512 that read."""
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "positional_embedding": (77, 512),
        "text_projection": (512, 512),
        "token_embedding.weight": (49408, 512),
        "visual.class_embedding": (768,),
        "visual.conv1.weight": (768, 3, 32, 32),
        "visual.positional_embedding": (50, 768),
        "visual.proj": (768, 512),
    }
    norms = {"ln_final": 512, "visual.ln_pre": 768, "visual.ln_post": 768}
    for tower, width in (("transformer", 512), ("visual.transformer", 768)):
        for block in (f"{tower}.resblocks.{index}" for index in range(12)):
            norms |= {f"{block}.ln_1": width, f"{block}.ln_2": width}
            shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
            linear = {"attn.out_proj": (width, width), "mlp.c_fc": (4 * width, width), "mlp.c_proj": (width, 4 * width)}
            shapes |= {f"{block}.{name}.weight": shape for name, shape in linear.items()}
            shapes |= {f"{block}.{name}.bias": shape[:1] for name, shape in linear.items()}
    return shapes | {f"{norm}.{part}": (width,) for norm, width in norms.items() for part in ("weight", "bias")}


def _exactly(tensors: Tensors, names: set[str], path: Path) -> Tensors:
    if tensors.keys() != names:
        odd = sorted(tensors.keys() ^ names)
        raise WrongWeights(
            f"{path.name} does not hold this network: {len(odd)} tensors differ, the first is “{odd[0]}”."
        )
    return {name: np.ascontiguousarray(tensors[name], dtype=np.float32) for name in sorted(tensors)}


def tensors_sha256(tensors: Tensors) -> str:
    """A hash of names, shapes, dtypes and bytes, independent of the file they are kept in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


CONVERSIONS: Mapping[str, Callable[[Path], Tensors]] = MappingProxyType(
    {
        "inception-torchscript": from_inception_torchscript,
        "inception-torch-fidelity": from_inception_torch_fidelity,
        "lpips-flax-pickle": from_lpips_flax,
        "dists": from_dists,
        "clip": from_clip,
        "clip-large": from_clip_large,
        "dinov2": from_dinov2,
    }
)
