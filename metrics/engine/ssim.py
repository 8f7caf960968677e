"""SSIM and MS-SSIM: how alike two pictures are in local mean, contrast and structure. Higher is better, at most 1.

SSIM at each position, for each colour channel: (2 μₓμᵧ + C₁)(2 σₓᵧ + C₂) / ((μₓ² + μᵧ² + C₁)(σₓ² + σᵧ² + C₂)), with
means and (co)variances under a Gaussian window of 11 (σ 1.5), levels 0 to 255, C₁ = (0.01 · 255)², C₂ = (0.03 · 255)²,
borders reflected; then the mean over positions and channels. MS-SSIM takes contrast and structure (the second factor,
its outer 5 pixels left out) on four scales and the whole on a fifth, each half of the one before, negative means as 0,
to the powers 0.0448, 0.2856, 0.3001, 0.2363 and 0.1333, and multiplies them.

These are torchmetrics' definitions, with the window's two directions one after the other, and with less rounding: its
variances in float32 are differences of large squares.

Source: Wang et al. 2004 (doi:10.1109/TIP.2003.819861); Wang et al. 2003 (doi:10.1109/ACSSC.2003.1292216). Within 1e-5
    of torchmetrics' in float64 (docs/metrics.md).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

_RADIUS = 5
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_MIDDLE = 128.0
"""Taken from every level before squares are formed, which leaves variances as they are and rounding smaller."""


def ssim(pairs: Tensor) -> Tensor:
    """(p, 2, 3, h, w) uint8, sides of at least 11 → (p,) float32."""
    whole, _ = _maps(pairs[:, 0].float(), pairs[:, 1].float())
    return whole.mean(dim=(1, 2, 3))


def ms_ssim(pairs: Tensor) -> Tensor:
    """(p, 2, 3, h, w) uint8, sides of at least 176 → (p,) float32 in [0, 1]."""
    x, y = pairs[:, 0].float(), pairs[:, 1].float()
    product = torch.ones(len(pairs), device=pairs.device)
    for scale, power in enumerate(POWERS):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        whole, contrast = _maps(x, y)
        inner = contrast[..., _RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
        mean = (whole if scale == len(POWERS) - 1 else inner).mean(dim=(1, 2, 3))
        product *= mean.relu() ** power
    return product


def _maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(p, 3, h, w) levels → SSIM, and its second factor, at every position."""
    x, y = x - _MIDDLE, y - _MIDDLE
    x_mean, y_mean = _windowed(x), _windowed(y)
    covariance = _windowed(x * y) - x_mean * y_mean
    spread = _windowed(x.square() + y.square()) - x_mean.square() - y_mean.square()
    contrast = (2 * covariance + _C2) / (spread.clamp_(min=0) + _C2)
    x_mean, y_mean = x_mean + _MIDDLE, y_mean + _MIDDLE
    likeness = (2 * x_mean * y_mean + _C1) / (x_mean.square() + y_mean.square() + _C1)
    return likeness * contrast, contrast


def _windowed(x: Tensor) -> Tensor:
    """The Gaussian mean around every position, borders reflected: eleven shifted sums down, then eleven across."""
    height, width = x.shape[-2:]
    x = F.pad(x, (_RADIUS,) * 4, mode="reflect")
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets.square()) / (2 * _SIGMA**2))
    shares = (weights / weights.sum()).tolist()
    down = x[..., :height, :] * shares[0]
    for index, share in enumerate(shares[1:], start=1):
        down.add_(x[..., index : index + height, :], alpha=share)
    across: Tensor = down[..., :width] * shares[0]
    for index, share in enumerate(shares[1:], start=1):
        across.add_(down[..., index : index + width], alpha=share)
    return across
