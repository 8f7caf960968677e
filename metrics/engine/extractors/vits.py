"""DINOv2 and CLIP ViT-L/14-336 as extractors, for FD-DINOv2 and CMMD."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.extractors.clip import MEAN, STD
from metrics.engine.extractors.extractor import Extractor
from metrics.engine.extractors.resizes import resize_levels
from metrics.engine.protocol import Protocol

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_DINOV2_SIDE = 224
_CLIP_LARGE_SIDE = 336


class _Normalised(Extractor):
    """Levels 0 to 255 enter as (x / 255 - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __init__(self, network: nn.Module, device: torch.device, batch: int, protocol: Protocol) -> None:
        super().__init__(network, device, batch, protocol)
        self._mean = torch.tensor(self.mean, device=device)[:, None, None]
        self._std = torch.tensor(self.std, device=device)[:, None, None]

    def _normalised(self, levels: Tensor) -> Tensor:
        return (levels / 255 - self._mean) / self._std


class DinoV2(_Normalised):
    """1,024 features: the class token. Both sides to 224 by Pillow's bicubic, as dgm-eval does it by default."""

    mean, std = _IMAGENET_MEAN, _IMAGENET_STD

    def prepare(self, title: str, pixels: Tensor) -> Tensor:
        return self._normalised(resize_levels(pixels, (_DINOV2_SIDE, _DINOV2_SIDE)))

    def forward(self, batch: Tensor) -> Tensor:
        rows: Tensor = self.network(batch)
        return rows


class ClipLarge(_Normalised):
    """Unit-length embedding of 768 features. The central square, to 336 by Pillow's bicubic, as CMMD's code has it."""

    mean, std = MEAN, STD

    def prepare(self, title: str, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[:, :, top : top + side, left : left + side]
        return self._normalised(resize_levels(square, (_CLIP_LARGE_SIDE, _CLIP_LARGE_SIDE)))

    def forward(self, batch: Tensor) -> Tensor:
        return F.normalize(self.network(batch).float(), dim=-1)
