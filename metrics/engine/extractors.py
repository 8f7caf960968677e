"""Extractors: what turns decoded pixels (or a caption) into one row of one column, on the device.

Each brings the picture to its own input by the protocol's resize, in float32 on the tensor, then runs its network on
batches of
one fixed size: the last batch is padded, so that a row does not depend on which shard or batch its picture fell into.
"""

from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast
from typing import Protocol as Interface

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.errors import BadInput
from metrics.engine.lpips import MINIMUM_SIDE, PLANS, Lpips
from metrics.engine.networks import Inception
from metrics.engine.protocol import Protocol, weights_of_column
from metrics.engine.weights import Weights

Source = Literal["image", "pair", "caption"]

_INCEPTION_SIDE = 299
_CLIP_SIDE = 224
_LONGEST = 8
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_PAIR_PIXELS = 2**22
"""Pixels of a batch of pairs on a GPU; on a CPU one pair is a batch."""


class _Clip(Interface):
    """What the engine asks of open_clip's model."""

    def encode_image(self, image: Tensor, normalize: bool) -> Tensor: ...

    def encode_text(self, text: Tensor, normalize: bool) -> Tensor: ...


class Extractor(ABC):
    """One column's maker.

    Attributes: source: what `prepare` is given. batch: inputs in one forward pass, for inputs of one shape.
    """

    source: Source

    def __init__(self, network: nn.Module, device: torch.device, batch: int) -> None:
        self.network, self.device, self.batch = network, device, batch

    def batch_for(self, prepared: Tensor) -> int:
        return self.batch

    @abstractmethod
    def prepare(self, *inputs: Any) -> Tensor:
        """One network input, without a batch dimension."""

    @abstractmethod
    def forward(self, batch: Tensor) -> Tensor:
        """(b, …) inputs → (b, …) rows."""


class InceptionPool3(Extractor):
    """2,048 features of FID's Inception. Pixels are mapped by (x - 128) / 128."""

    source: Source = "image"

    def __init__(self, network: nn.Module, device: torch.device, batch: int, resize: str) -> None:
        super().__init__(network, device, batch)
        self.resize = {"bicubic-antialias-clamp": resize_bicubic, "tf1-bilinear": resize_tf1}[resize]

    def prepare(self, pixels: Tensor) -> Tensor:
        return (self.resize(pixels, (_INCEPTION_SIDE, _INCEPTION_SIDE))[0] - 128) / 128

    def forward(self, batch: Tensor) -> Tensor:
        rows: Tensor = self.network(batch.contiguous(memory_format=torch.channels_last))
        return rows


class LpipsDistance(Extractor):
    """LPIPS of a sample and its reference at their own size, which must be equal."""

    source: Source = "pair"

    def batch_for(self, prepared: Tensor) -> int:
        if self.device.type == "cpu":
            return 1
        return max(1, min(self.batch, _PAIR_PIXELS // (prepared.shape[-1] * prepared.shape[-2])))

    def prepare(self, sample: Tensor, reference: Tensor, name: str) -> Tensor:
        (height, width), (reference_height, reference_width) = sample.shape[2:], reference.shape[2:]
        if (height, width) != (reference_height, reference_width):
            raise BadInput(
                f"{name} is {width} × {height} pixels and its reference {reference_width} × {reference_height}; "
                "LPIPS compares pictures of one size, so send the sample at its reference's size."
            )
        if min(height, width) < MINIMUM_SIDE:
            raise BadInput(f"{name} is {width} × {height} pixels; LPIPS needs at least {MINIMUM_SIDE} on each side.")
        return torch.cat([sample, reference])

    def forward(self, batch: Tensor) -> Tensor:
        distances: Tensor = self.network(batch)
        return distances


class ClipImage(Extractor):
    """Unit-length CLIP embedding: shorter side to 224, centre crop, whole levels, as open_clip's own transform."""

    source: Source = "image"

    def __init__(self, network: nn.Module, device: torch.device, batch: int) -> None:
        super().__init__(network, device, batch)
        self.mean = torch.tensor(_CLIP_MEAN, device=device)[:, None, None]
        self.std = torch.tensor(_CLIP_STD, device=device)[:, None, None]

    def prepare(self, pixels: Tensor) -> Tensor:
        levels = resize_and_crop(pixels, _CLIP_SIDE)[0]
        return (levels / 255 - self.mean) / self.std

    def forward(self, batch: Tensor) -> Tensor:
        return cast(_Clip, self.network).encode_image(batch, normalize=True)


class ClipText(Extractor):
    """Unit-length CLIP embedding of a caption, followed by 1.0 if the caption was cut to fit, else 0.0."""

    source: Source = "caption"

    def __init__(self, network: nn.Module, device: torch.device, batch: int, prefix: str, model: str) -> None:
        super().__init__(network, device, batch)
        import open_clip  # seconds to import, and only CLIP needs it

        self.prefix = prefix
        self.tokenizer = open_clip.get_tokenizer(model)

    def prepare(self, caption: str) -> Tensor:
        text = self.prefix + caption
        tokens = self.tokenizer(text)[0]
        longer = self.tokenizer(text, context_length=len(tokens) + 1)[0]
        cut = (longer != 0).sum() > len(tokens)
        return torch.cat([tokens, cut.to(tokens.dtype)[None]]).to(self.device)

    def forward(self, batch: Tensor) -> Tensor:
        tokens, cut = batch[:, :-1], batch[:, -1:]
        rows = cast(_Clip, self.network).encode_text(tokens, normalize=True)
        return torch.cat([rows, cut.to(rows.dtype)], dim=1)


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


def load_extractor(column: str, protocol: Protocol, weights: Weights, device: torch.device, batch: int) -> Extractor:
    """The maker of `column` under `protocol`; its network is loaded once per process.

    Raises: MissingWeights, WrongWeights; BadInput if the protocol asks for arithmetic this engine does not have.
    """
    if protocol.dtype != "float32":
        raise BadInput(f"The protocol asks for {protocol.dtype} arithmetic and this engine has float32; choose that.")
    name = weights_of_column(column)
    weights.require(name)
    if name not in protocol.weights:
        raise BadInput(f"The protocol has no “{name}” chosen; pin it with pinned(protocol, weights) before the pass.")
    network = _network(column, str(weights.folder), protocol.weights[name], protocol.clip_model, device)
    if column == "inception":
        return InceptionPool3(network, device, batch, protocol.fid_resize)
    if column in PLANS:
        return LpipsDistance(network, device, batch)
    if column == "clip_image":
        return ClipImage(network, device, batch)
    return ClipText(network, device, batch, protocol.clip_prefix, protocol.clip_model)


def pinned(protocol: Protocol, weights: Weights) -> Protocol:
    """`protocol` with the CLIP checkpoint of this weights folder, where it has one and none was chosen yet."""
    state = weights.state("clip-vit-b-32")
    if protocol.clip_model or not state.present:
        return protocol
    return protocol.with_clip(tensors_sha256=state.tensors_sha256, clip_model=state.clip_model)


@lru_cache(maxsize=8)
def _network_named(
    family: str, name: str, folder: str, tensors_sha256: str, clip_model: str, device: torch.device
) -> nn.Module:
    arrays = Weights(folder).load(name, expected_sha256=tensors_sha256)
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    if family == "inception":
        network: nn.Module = Inception(tensors)
    elif family == "clip":
        network = _clip(clip_model, tensors)
    else:
        network = Lpips(tensors, PLANS[family])
    return network.to(device).eval().requires_grad_(False)


def _network(column: str, folder: str, tensors_sha256: str, clip_model: str, device: torch.device) -> nn.Module:
    family = "clip" if column.startswith("clip") else column
    return _network_named(
        family, weights_of_column(column), str(Path(folder).resolve()), tensors_sha256, clip_model, device
    )


def _clip(model: str, tensors: dict[str, Tensor]) -> nn.Module:
    import open_clip  # seconds to import, and only CLIP needs it

    # On no device first: numbers drawn for 150 million weights that are replaced at once would cost seconds.
    with torch.device("meta"):
        network: nn.Module = open_clip.CLIP(**open_clip.get_model_config(model))
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    # The one tensor that checkpoints leave out: no token sees those after it.
    network.attn_mask = torch.full(network.get_buffer("attn_mask").shape, float("-inf")).triu_(1)
    return network


def resize_bicubic(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic in float32, clamped to [0, 255]: Pillow's resize of float channels, within 0.005 levels.

    Args: pixels: (1, 3, h, w), 0 to 255. size: (height, width).
    """
    return F.interpolate(pixels.float(), size, mode="bicubic", antialias=True).clamp_(0, 255)


def resize_tf1(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """TensorFlow 1's bilinear: corner-aligned origin, no antialiasing. Bit for bit torch-fidelity's on a CPU.

    Args: pixels: (1, 3, h, w) uint8. size: (height, width).
    """
    rows, rows_after, down = _tf1_grid(pixels.shape[2], size[0], pixels.device)
    columns, columns_after, across = _tf1_grid(pixels.shape[3], size[1], pixels.device)
    x = pixels.float()
    top, bottom = x[:, :, rows], x[:, :, rows_after]
    top = top[..., columns] + (top[..., columns_after] - top[..., columns]) * across
    bottom = bottom[..., columns] + (bottom[..., columns_after] - bottom[..., columns]) * across
    return top + (bottom - top) * down[:, None]


def _tf1_grid(length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    position = torch.arange(size, dtype=torch.float32, device=device) * torch.tensor(length / size, dtype=torch.float32)
    before = position.long()
    return before, (before + 1).clamp_max(length - 1), position - before.float()


def resize_levels(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Pillow's bicubic of eight-bit pixels: across, then down, rounded to whole levels after each.

    About one level in 7,000 comes out one off. Args: pixels: (1, 3, h, w) uint8. size: (height, width).
    """
    across = resize_bicubic(pixels, (pixels.shape[2], size[1])).round_()
    return resize_bicubic(across, size).round_()


def resize_and_crop(pixels: Tensor, side: int) -> Tensor:
    """Shorter side to `side`, then the central square: (1, 3, side, side) float32 whole levels."""
    height, width = pixels.shape[2:]
    short = min(height, width)
    # Only the middle is kept: a very long picture is first cut to it, or its resize would not fit in memory.
    height, width = min(height, _LONGEST * short), min(width, _LONGEST * short)
    pixels = _centre(pixels, height, width)
    size = (int(side * height / short), int(side * width / short))
    return _centre(resize_levels(pixels, size), side, side)


def _centre(x: Tensor, height: int, width: int) -> Tensor:
    top, left = round((x.shape[2] - height) / 2), round((x.shape[3] - width) / 2)
    return x[:, :, top : top + height, left : left + width]
