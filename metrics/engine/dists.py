"""DISTS: how far a sample is from its own reference in structure and texture, by a VGG16 that pools without aliasing.

Over the pixels and five layers, every channel gives a texture similarity (of means) and a structure similarity (of
covariance), each as in SSIM; they are weighted by learned α and β that sum to 1, and the distance is 1 - their sum.
Lower is better; 0 for equal pictures. Pictures are compared at their own size, which must be equal: the authors' own
programme first shrinks the shorter side to 256, torchmetrics does not, nor does this.

Source: Ding et al. 2020 (arXiv:2004.07728). Within 1e-4 of torchmetrics' on equal weights (docs/metrics.md).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.networks import VGG16, Layer, Trunk

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_C = 1e-6


class Dists(nn.Module):
    """Pairs in, distances out.

    Args: tensors: VGG16's `conv_<i>.weight|bias`, and `alpha` and `beta`, (1475,) each: 3 for the pixels' channels,
        then those of the five layers.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.trunk = _SmoothTrunk(tensors, VGG16)
        total = tensors["alpha"].sum() + tensors["beta"].sum()
        self.register_buffer("alpha", tensors["alpha"] / total)
        self.register_buffer("beta", tensors["beta"] / total)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_STD)[:, None, None])

    def forward(self, pairs: Tensor) -> Tensor:
        """(p, 2, 3, h, w) uint8, a sample and its reference → (p,) float32."""
        count, _, channels, height, width = pairs.shape
        pixels = pairs.reshape(count * 2, channels, height, width).float() / 255
        x = (pixels - self.get_buffer("mean")) / self.get_buffer("std")
        layers = [pixels, *self.trunk(x.contiguous(memory_format=torch.channels_last))]
        textures, structures = zip(*map(_similarities, layers), strict=True)
        texture = torch.cat(textures, dim=1) @ self.get_buffer("alpha")
        return 1 - (texture + torch.cat(structures, dim=1) @ self.get_buffer("beta"))


class _SmoothTrunk(Trunk):
    """A trunk whose pools are weighted roots of mean squares over a Hann window of 3 × 3, at every second position."""

    def __init__(self, tensors: Mapping[str, Tensor], plan: tuple[Layer, ...]) -> None:
        super().__init__(tensors, plan)
        slope = torch.hann_window(5, periodic=False)[1:-1]
        window = slope[:, None] * slope
        self.register_buffer("window", (window / window.sum())[None, None])

    def pool(self, x: Tensor, window: int, stride: int) -> Tensor:
        channels = x.shape[1]
        weights = self.get_buffer("window").expand(channels, 1, 3, 3)
        squares = F.conv2d(x.float().square(), weights, stride=2, padding=1, groups=channels)
        return (squares + 1e-12).sqrt().to(x.dtype)


def _similarities(layer: Tensor) -> tuple[Tensor, Tensor]:
    """(2p, c, h, w), pairs one after the other → texture and structure similarity, (p, c) each."""
    x, y = layer[0::2], layer[1::2]
    x_mean, y_mean = x.mean(dim=(2, 3)), y.mean(dim=(2, 3))
    texture = (2 * x_mean * y_mean + _C) / (x_mean.square() + y_mean.square() + _C)
    x_offset, y_offset = x - x_mean[:, :, None, None], y - y_mean[:, :, None, None]
    covariance = (x_offset * y_offset).mean(dim=(2, 3))
    spread = x_offset.square().mean(dim=(2, 3)) + y_offset.square().mean(dim=(2, 3))
    return texture, (2 * covariance + _C) / (spread + _C)
