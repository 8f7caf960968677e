"""Extractors of pictures that are compared position by position, and so must be of one size.

A batch of pairs is one pair on a CPU; on a GPU as many as fit a fixed number of pixels.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor

from metrics.engine.columns import DISTS_SIDE, LPIPS_SIDE, MS_SSIM_SIDE, SSIM_SIDE
from metrics.engine.errors import BadInput
from metrics.engine.extractors.extractor import Extractor
from metrics.engine.lpips import Lpips
from metrics.engine.sizes import misfit
from metrics.engine.ssim import ms_ssim, ssim

_PIXELS = 2**22
"""Pixels of a batch of pairs on a GPU."""

_INSIDE = 128
"""A mask's level from which a pixel counts as edited."""


class PairExtractor(Extractor):
    """What compares a sample with its reference. Attributes: title: the metric's, for errors."""

    title: ClassVar[str]
    minimum_side: ClassVar[int] = 1

    def batch_for(self, prepared: Tensor) -> int:
        if self.device.type == "cpu":
            return 1
        return max(1, min(self.batch, _PIXELS // (prepared.shape[-1] * prepared.shape[-2])))

    def prepare(self, title: str, sample: Tensor, reference: Tensor) -> Tensor:
        """(f, 2, 3, h, w) uint8."""
        self._check(title, sample, reference, "reference")
        return torch.stack([sample, reference], dim=1)

    def _check(self, title: str, sample: Tensor, other: Tensor, role: str) -> None:
        sentence = misfit(title, self.title, _size(sample), role, _size(other), self.minimum_side)
        if sentence:
            raise BadInput(sentence)


class LpipsDistance(PairExtractor):
    """LPIPS of each pair."""

    title = "LPIPS"
    minimum_side = LPIPS_SIDE

    def forward(self, batch: Tensor) -> Tensor:
        distances: Tensor = self.network(batch)
        return distances


class DistsDistance(PairExtractor):
    """DISTS of each pair."""

    title = "DISTS"
    minimum_side = DISTS_SIDE

    def forward(self, batch: Tensor) -> Tensor:
        distances: Tensor = self.network(batch)
        return distances


class SquaredError(PairExtractor):
    """Mean squared difference of each pair's levels; exact, as a sum of whole numbers."""

    title = "PSNR"

    def forward(self, batch: Tensor) -> Tensor:
        difference = batch[:, 0].int() - batch[:, 1].int()
        return _share(difference.square().sum(dim=(1, 2, 3)), torch.tensor(difference[0].numel()))


class Ssim(PairExtractor):
    """SSIM of each pair."""

    title = "SSIM"
    minimum_side = SSIM_SIDE

    def forward(self, batch: Tensor) -> Tensor:
        return ssim(batch)


class MsSsim(PairExtractor):
    """MS-SSIM of each pair."""

    title = "MS-SSIM"
    minimum_side = MS_SSIM_SIDE

    def forward(self, batch: Tensor) -> Tensor:
        return ms_ssim(batch)


class OutsideExtractor(PairExtractor):
    """What compares a sample with its source where the mask left the source as it was."""

    def prepare(self, title: str, *inputs: Tensor) -> Tensor:
        """(f, 3, 3, h, w) uint8: sample, source, mask."""
        sample, source, mask = inputs
        self._check(title, sample, source, "source")
        self._check(title, sample, mask, "mask")
        if not _outside(mask).any():
            raise BadInput(
                f"The mask of {title} covers the whole picture and {self.title} compares what lies outside it; "
                "send a mask with some black."
            )
        return torch.stack([sample, source, mask], dim=1)


class LpipsOutside(OutsideExtractor):
    """LPIPS outside the mask."""

    title = "LPIPS outside the mask"
    minimum_side = LPIPS_SIDE

    def forward(self, batch: Tensor) -> Tensor:
        return cast(Lpips, self.network).outside(batch[:, :2], _outside(batch[:, 2]))


class SquaredErrorOutside(OutsideExtractor):
    """Mean squared difference of the levels outside the mask."""

    title = "PSNR outside the mask"

    def forward(self, batch: Tensor) -> Tensor:
        outside = _outside(batch[:, 2])
        difference = (batch[:, 0].int() - batch[:, 1].int()) * outside[:, None]
        return _share(difference.square().sum(dim=(1, 2, 3)), 3 * outside.sum(dim=(1, 2)))


def _size(picture: Tensor) -> tuple[int, int]:
    height, width = picture.shape[-2:]
    return width, height


def _outside(mask: Tensor) -> Tensor:
    """(b, 3, h, w) uint8 → (b, h, w) bool, true where the mask is darker than middle grey."""
    red, green, blue = mask.int().unbind(dim=1)
    return 299 * red + 587 * green + 114 * blue < 1000 * _INSIDE


def _share(total: Tensor, count: Tensor) -> Tensor:
    return total.double() / count.to(total.device)
