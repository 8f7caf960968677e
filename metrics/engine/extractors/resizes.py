"""The resizes that protocols name, on tensors of pictures."""

import torch
import torch.nn.functional as F
from torch import Tensor

_LONGEST = 8


def resize_bicubic(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bicubic in float32, clamped to [0, 255]: Pillow's resize of float channels, within 0.005 levels.

    Args: pixels: (f, 3, h, w), 0 to 255. size: (height, width).
    """
    return F.interpolate(pixels.float(), size, mode="bicubic", antialias=True).clamp_(0, 255)


def resize_tf1(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """TensorFlow 1's bilinear: corner-aligned origin, no antialiasing. Bit for bit torch-fidelity's on a CPU.

    Args: pixels: (f, 3, h, w) uint8. size: (height, width).
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

    About one level in 7,000 comes out one off. Args: pixels: (f, 3, h, w) uint8. size: (height, width).
    """
    across = resize_bicubic(pixels, (pixels.shape[2], size[1])).round_()
    return resize_bicubic(across, size).round_()


def resize_and_crop(pixels: Tensor, side: int) -> Tensor:
    """Shorter side to `side`, then the central square: (f, 3, side, side) float32 whole levels."""
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
