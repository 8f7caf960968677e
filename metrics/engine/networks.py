"""The convolutional trunks, as small as their published graphs allow. Weights come as arrays in `conversions`'
names."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.layers import Convolution

_BATCHNORM_EPSILON = 1e-3


class Inception(nn.Module):
    """InceptionV3 of 2015-12-05 up to pool3, as FID uses it.

    Average pools leave padding out of their mean, the last block pools by maximum, and batch norm (without scale) is
    folded into the convolutions in float64, which moves a feature by about 1e-6 of its size.

    Source: Szegedy et al. 2015; TensorFlow's classify_image graph of 2015-12-05.
    """

    one_input_size = True

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict()
        for conv in sorted({name.rsplit(".", 1)[0] for name in tensors}):
            weight, beta, mean, var = (tensors[f"{conv}.{part}"].double() for part in ("weight", "beta", "mean", "var"))
            scale = (var + _BATCHNORM_EPSILON).rsqrt()
            kernel = (weight * scale[:, None, None, None]).float()
            self.convolutions[_module(conv)] = Convolution(kernel, (beta - mean * scale).float())

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 299, 299) float32 in [-1, 1) → (b, 2048) float32."""
        x = self._conv(x, "conv", stride=2, pad=False)
        x = self._conv(x, "conv_1", pad=False)
        x = F.max_pool2d(self._conv(x, "conv_2"), 3, 2)
        x = self._conv(self._conv(x, "conv_3", pad=False), "conv_4", pad=False)
        x = F.max_pool2d(x, 3, 2)
        for block in ("mixed", "mixed_1", "mixed_2"):
            x = self._parallel(x, block, tower=2, tower_1=3)
        x = self._reduce(x, "mixed_3", single="conv", chain=("tower", 3))
        for block in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
            x = self._parallel(x, block, tower=3, tower_1=5)
        x = self._reduce_again(x, "mixed_8")
        x = self._fanned(x, "mixed_9", _average(x))
        x = self._fanned(x, "mixed_10", F.max_pool2d(x, 3, 1, padding=1))
        return x.float().mean(dim=(2, 3))

    def _conv(self, x: Tensor, name: str, *, stride: int = 1, pad: bool = True) -> Tensor:
        convolution = self.convolutions[_module(name)]
        height, width = convolution.get_buffer("weight").shape[2:]
        convolved: Tensor = convolution(x, stride, (height // 2, width // 2) if pad else (0, 0))
        return convolved

    def _chain(self, x: Tensor, tower: str, count: int, *, reduce: bool = False) -> Tensor:
        for index in range(count):
            last = reduce and index == count - 1
            x = self._conv(x, f"{tower}.conv_{index}" if index else f"{tower}.conv", stride=1 + last, pad=not last)
        return x

    def _parallel(self, x: Tensor, block: str, **towers: int) -> Tensor:
        branches = [self._conv(x, f"{block}.conv")]
        branches += [self._chain(x, f"{block}.{tower}", count) for tower, count in towers.items()]
        return torch.cat([*branches, self._conv(_average(x), f"{block}.tower_2.conv")], 1)

    def _reduce(self, x: Tensor, block: str, *, single: str, chain: tuple[str, int]) -> Tensor:
        halved = self._conv(x, f"{block}.{single}", stride=2, pad=False)
        return torch.cat(
            [halved, self._chain(x, f"{block}.{chain[0]}", chain[1], reduce=True), F.max_pool2d(x, 3, 2)], 1
        )

    def _reduce_again(self, x: Tensor, block: str) -> Tensor:
        towers = [self._chain(x, f"{block}.tower", 2, reduce=True), self._chain(x, f"{block}.tower_1", 4, reduce=True)]
        return torch.cat([*towers, F.max_pool2d(x, 3, 2)], 1)

    def _fanned(self, x: Tensor, block: str, pooled: Tensor) -> Tensor:
        a = self._conv(x, f"{block}.tower_conv")
        b = self._conv(self._conv(x, f"{block}.tower_1_conv"), f"{block}.tower_1_conv_1")
        branches = [
            self._conv(x, f"{block}.conv"),
            self._conv(a, f"{block}.tower_mixed_conv"),
            self._conv(a, f"{block}.tower_mixed_conv_1"),
            self._conv(b, f"{block}.tower_1_mixed_conv"),
            self._conv(b, f"{block}.tower_1_mixed_conv_1"),
            self._conv(pooled, f"{block}.tower_2_conv"),
        ]
        return torch.cat(branches, 1)


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)


def _module(conv: str) -> str:
    return conv.replace(".", "__")


class Trunk(nn.Module):
    """A plain stack of convolutions, of AlexNet or VGG16, that hands back chosen activations in float32.

    Args:
        tensors: `conv_<i>.weight|bias`.
        plan: per convolution (stride, padding, pool before it: (window, stride) or None, whether its output is handed
            back).
    """

    def __init__(self, tensors: Mapping[str, Tensor], plan: tuple["Layer", ...]) -> None:
        super().__init__()
        self.plan = plan
        self.convolutions = nn.ModuleList(
            Convolution(tensors[f"conv_{index}.weight"], tensors[f"conv_{index}.bias"]) for index in range(len(plan))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for convolution, (stride, padding, pool, kept) in zip(self.convolutions, self.plan, strict=True):
            if pool:
                x = self.pool(x, *pool)
            x = convolution(x, stride, (padding, padding))
            if kept:
                outputs.append(x.float())
        return outputs

    def pool(self, x: Tensor, window: int, stride: int) -> Tensor:
        return F.max_pool2d(x, window, stride)


Layer = tuple[int, int, tuple[int, int] | None, bool]

ALEXNET: tuple[Layer, ...] = (
    (4, 2, None, True),
    (1, 2, (3, 2), True),
    (1, 1, (3, 2), True),
    (1, 1, None, True),
    (1, 1, None, True),
)
VGG16: tuple[Layer, ...] = (
    (1, 1, None, False),
    (1, 1, None, True),
    (1, 1, (2, 2), False),
    (1, 1, None, True),
    (1, 1, (2, 2), False),
    (1, 1, None, False),
    (1, 1, None, True),
    (1, 1, (2, 2), False),
    (1, 1, None, False),
    (1, 1, None, True),
    (1, 1, (2, 2), False),
    (1, 1, None, False),
    (1, 1, None, True),
)
