"""LPIPS: the distance between a sample and its own reference in a trunk's normalised activations.

For each kept layer the activations are scaled to unit length over channels, subtracted, squared, weighted by that
layer's head and averaged over positions; the layers' figures are summed. Lower is better; 0 for equal pictures.

Outside a mask (editing): what lies inside it is first replaced, in the sample, by the source's own pixels, so that
nothing of the edit reaches the activations around it; then each layer is averaged with weights, a position's weight
being the share of its cell (the picture cut evenly into that layer's positions) that lies outside. With an empty mask
this is plain LPIPS.

Source: Zhang et al. 2018 (arXiv:1801.03924), heads v0.1. Within 1e-4 of the `lpips` package on equal weights
    (docs/metrics.md).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.networks import Layer, Trunk

_EPSILON = 1e-10
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


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
        return torch.stack([each.mean(dim=(1, 2)) for each in self._distances(pairs)]).sum(dim=0)

    def outside(self, pairs: Tensor, outside: Tensor) -> Tensor:
        """The same where a mask leaves pictures as they were.

        Args:
            pairs: (p, 2, 3, h, w) uint8, a sample and its source.
            outside: (p, h, w) bool, true outside the mask, somewhere in each.
        Returns: (p,) float32.
        """
        sample, source = pairs[:, 0], pairs[:, 1]
        unedited = torch.where(outside[:, None], sample, source)
        total = torch.zeros(len(pairs), device=pairs.device)
        for distances in self._distances(torch.stack([unedited, source], dim=1)):
            share = F.adaptive_avg_pool2d(outside[:, None].float(), (distances.shape[1], distances.shape[2]))[:, 0]
            total += (distances * share).sum(dim=(1, 2)) / share.sum(dim=(1, 2))
        return total

    def _distances(self, pairs: Tensor) -> list[Tensor]:
        """(p, 2, 3, h, w) uint8 → for each layer (p, height, width) of it, float32."""
        count, _, channels, height, width = pairs.shape
        x = pairs.reshape(count * 2, channels, height, width).float()
        x = (x / 127.5 - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        layers = self.trunk(x.contiguous(memory_format=torch.channels_last))
        return [self._distance(*each) for each in zip(layers, self.heads, strict=True)]

    def _distance(self, activations: Tensor, head: Tensor) -> Tensor:
        length = activations.square().sum(dim=1, keepdim=True).sqrt()
        unit = activations / (length + _EPSILON)
        difference = (unit[0::2] - unit[1::2]).square()
        return (difference * head).sum(dim=1)
