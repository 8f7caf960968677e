"""Extractors of pictures that are compared pixel by pixel with others of their own size."""

import torch
from torch import Tensor

from metrics.engine.errors import BadInput
from metrics.engine.extractors.extractor import Extractor
from metrics.engine.lpips import MINIMUM_SIDE

_PIXELS = 2**22
"""Pixels of a batch of pairs on a GPU; on a CPU one pair is a batch."""


class LpipsDistance(Extractor):
    """LPIPS of a sample and its reference at their own size, which must be equal."""

    def batch_for(self, prepared: Tensor) -> int:
        if self.device.type == "cpu":
            return 1
        return max(1, min(self.batch, _PIXELS // (prepared.shape[-1] * prepared.shape[-2])))

    def prepare(self, title: str, sample: Tensor, reference: Tensor) -> Tensor:
        (height, width), (reference_height, reference_width) = sample.shape[2:], reference.shape[2:]
        if (height, width) != (reference_height, reference_width):
            raise BadInput(
                f"{title} is {width} × {height} pixels and its reference {reference_width} × {reference_height}; "
                "LPIPS compares pictures of one size, so send the sample at its reference's size."
            )
        if min(height, width) < MINIMUM_SIDE:
            raise BadInput(f"{title} is {width} × {height} pixels; LPIPS needs at least {MINIMUM_SIDE} on each side.")
        return torch.stack([sample, reference], dim=1)

    def forward(self, batch: Tensor) -> Tensor:
        distances: Tensor = self.network(batch)
        return distances
