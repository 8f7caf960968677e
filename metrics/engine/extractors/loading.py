"""Makes extractors: which network and which preparation each maker has. A network is loaded once per process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from metrics.engine.catalogue import WEIGHTS
from metrics.engine.columns import COLUMNS
from metrics.engine.dists import Dists
from metrics.engine.errors import BadInput
from metrics.engine.extractors.clip import ClipImage, ClipText, clip_network
from metrics.engine.extractors.extractor import Extractor
from metrics.engine.extractors.inception import InceptionPool3
from metrics.engine.extractors.pairs import (
    DistsDistance,
    LpipsDistance,
    LpipsOutside,
    MsSsim,
    SquaredError,
    SquaredErrorOutside,
    Ssim,
)
from metrics.engine.extractors.vits import ClipLarge, DinoV2
from metrics.engine.layers import settled
from metrics.engine.lpips import Lpips
from metrics.engine.networks import ALEXNET, VGG16, Inception
from metrics.engine.protocol import Protocol
from metrics.engine.vit import CLIP_LARGE, DINOV2, VisionTransformer
from metrics.engine.weights import Weights

NetworkBuilder = Callable[[Mapping[str, Tensor], str], nn.Module]
"""(tensors of all of the column's weights, the protocol's CLIP model) → the network."""


@dataclass(frozen=True)
class Maker:
    """How one kind of row is made: the network, and the extractor around it."""

    network: NetworkBuilder
    extractor: type[Extractor]


def _inception(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return Inception(tensors)


def _lpips_alex(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return Lpips(tensors, ALEXNET)


def _lpips_vgg(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return Lpips(tensors, VGG16)


def _dists(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return Dists(tensors)


def _dinov2(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return VisionTransformer(tensors, DINOV2)


def _clip_large(tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    return VisionTransformer(tensors, CLIP_LARGE)


def _none(_tensors: Mapping[str, Tensor], _clip_model: str) -> nn.Module:
    """For makers that compute without a network."""
    return nn.Identity()


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "inception": Maker(_inception, InceptionPool3),
        "lpips_alex": Maker(_lpips_alex, LpipsDistance),
        "lpips_vgg": Maker(_lpips_vgg, LpipsDistance),
        "lpips_outside": Maker(_lpips_alex, LpipsOutside),
        "dists": Maker(_dists, DistsDistance),
        "squared_error": Maker(_none, SquaredError),
        "squared_error_outside": Maker(_none, SquaredErrorOutside),
        "ssim": Maker(_none, Ssim),
        "ms_ssim": Maker(_none, MsSsim),
        "clip_image": Maker(clip_network, ClipImage),
        "clip_text": Maker(clip_network, ClipText),
        "clip_large": Maker(_clip_large, ClipLarge),
        "dinov2": Maker(_dinov2, DinoV2),
    }
)


def checked_device(name: str) -> torch.device:
    """The device called `name`.

    Raises: BadInput if torch has no such device here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise BadInput(
            f"There is no device “{name}” on this machine; choose cpu, or cuda where there is a GPU."
        ) from None
    return device


def checked_dtype(name: str, device: torch.device) -> torch.dtype:
    """torch's dtype for a protocol's `dtype`.

    Raises: BadInput if this device does not have it.
    """
    if name == "float16" and device.type == "cpu":
        raise BadInput("A CPU has no float16 arithmetic of its own; choose bfloat16 or float32, or a GPU.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def load_extractor(column: str, protocol: Protocol, weights: Weights, device: torch.device, batch: int) -> Extractor:
    """The maker of `column` under `protocol`.

    Raises: MissingWeights, WrongWeights; BadInput if the protocol asks for arithmetic this engine does not have.
    """
    dtype = checked_dtype(protocol.dtype, device)
    facts = COLUMNS[column]
    for name in facts.weights:
        weights.require(name)
        if name not in protocol.weights:
            raise BadInput(
                f"The protocol has no “{name}” chosen; pin it with pinned(protocol, weights) before the pass."
            )
    maker = MAKERS[facts.maker]
    hashes = tuple((name, protocol.weights[name]) for name in facts.weights)
    network = _network(maker.network, hashes, str(weights.folder.resolve()), protocol.clip_model, device, dtype)
    return maker.extractor(network, device, batch, protocol)


def pinned(protocol: Protocol, weights: Weights) -> Protocol:
    """`protocol` with the operator's checkpoints of this weights folder, where it has them and none were chosen yet."""
    for name, spec in WEIGHTS.items():
        if spec.any_checkpoint and name not in protocol.weights and (state := weights.state(name)).present:
            protocol = protocol.with_checkpoint(name, tensors_sha256=state.tensors_sha256, clip_model=state.clip_model)
    return protocol


@lru_cache(maxsize=8)
def _network(
    build: NetworkBuilder,
    hashes: tuple[tuple[str, str], ...],
    folder: str,
    clip_model: str,
    device: torch.device,
    dtype: torch.dtype,
) -> nn.Module:
    arrays = {
        key: array
        for name, tensors_sha256 in hashes
        for key, array in Weights(Path(folder)).load(name, expected_sha256=tensors_sha256).items()
    }
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    return settled(build(tensors, clip_model), device, dtype)
