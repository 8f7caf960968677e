"""FID's Inception as an extractor."""

import torch
from torch import Tensor

from metrics.engine.extractors.extractor import Extractor
from metrics.engine.extractors.resizes import resize_bicubic, resize_tf1

_SIDE = 299
_RESIZES = {"bicubic-antialias-clamp": resize_bicubic, "tf1-bilinear": resize_tf1}


class InceptionPool3(Extractor):
    """2,048 features of FID's Inception. Pixels are mapped by (x - 128) / 128."""

    def prepare(self, title: str, pixels: Tensor) -> Tensor:
        return (_RESIZES[self.protocol.fid_resize](pixels, (_SIDE, _SIDE)) - 128) / 128

    def forward(self, batch: Tensor) -> Tensor:
        rows: Tensor = self.network(batch.contiguous(memory_format=torch.channels_last))
        return rows
