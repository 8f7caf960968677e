"""LPIPS: the distance between a sample and its own reference in a trunk's normalised activations.

For each kept layer the activations are scaled to unit length over channels, subtracted, squared, weighted by that
layer's head and averaged over positions; the layers' figures are summed. Lower is better; 0 for equal pictures.

Source: Zhang et al. 2018 (arXiv:1801.03924), heads v0.1. Within 1e-4 of the `lpips` package on equal weights
    (docs/metrics.md).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from metrics.engine.networks import ALEXNET, VGG16, Layer, Trunk

MINIMUM_SIDE = 32
"""Below this many pixels a side AlexNet's pools have nothing left to pool."""

_EPSILON = 1e-10
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)

PLANS: Mapping[str, tuple[Layer, ...]] = {"lpips_alex": ALEXNET, "lpips_vgg": VGG16}


class Lpips(nn.Module):
    """Pairs in, distances out."""

    def __init__(self, tensors: Mapping[str, Tensor], plan: tuple[Layer, ...]) -> None:
        super().__init__()
        self.trunk = Trunk(tensors, plan)
        self.heads = nn.ParameterList([tensors[f"head_{index}"][None, :, None, None] for index in range(5)])
        self.register_buffer("shift", torch.tensor(_SHIFT)[None, :, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[None, :, None, None])

    def forward(self, pairs: Tensor) -> Tensor:
        """(p, 2, 3, h, w) uint8, a sample and its reference → (p,) float32."""
        count, _, channels, height, width = pairs.shape
        x = pairs.reshape(count * 2, channels, height, width).float()
        x = (x / 127.5 - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        layers = self.trunk(x.contiguous(memory_format=torch.channels_last))
        return torch.stack([self._distance(*each) for each in zip(layers, self.heads, strict=True)]).sum(dim=0)

    def _distance(self, activations: Tensor, head: Tensor) -> Tensor:
        length = activations.square().sum(dim=1, keepdim=True).sqrt()
        unit = activations / (length + _EPSILON)
        difference = (unit[0::2] - unit[1::2]).square()
        return (difference * head).sum(dim=1).mean(dim=(1, 2))
