"""Vision transformers of the ViT-L/14 kind, as DINOv2 and CLIP have them. Weights come in `conversions`' names.

Source: Dosovitskiy et al. 2021; Radford et al. 2021 (CLIP); Oquab et al. 2023 (DINOv2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HEAD = 64
"""Features of one attention head, in every network of this family."""
_OFFSET = 0.1
"""DINOv2's own: added to the target grid where its positions are interpolated."""


@dataclass(frozen=True)
class VitPlan:
    """What the tensors do not tell.

    Attributes: side: the input's, in pixels. epsilon: the norms'. activation: between the two linear layers of a block.
    """

    side: int
    epsilon: float
    activation: Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI's approximation of GELU: x · sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


DINOV2 = VitPlan(224, 1e-6, F.gelu)
CLIP_LARGE = VitPlan(336, 1e-5, quick_gelu)


class VisionTransformer(nn.Module):
    """Pictures in, the class token after the last norm out: projected where there is a projection (CLIP).

    Blocks are residual with the norms first; each branch is scaled where there is a scale (DINOv2). Positions learnt on
    another grid are interpolated once, as DINOv2 does it.
    """

    one_input_size = True

    def __init__(self, tensors: Mapping[str, Tensor], plan: VitPlan) -> None:
        super().__init__()
        kernel = tensors["patches.weight"].float()
        self.patch = kernel.shape[-1]
        self.patches = _linear(kernel.flatten(1), tensors.get("patches.bias"))
        positions = _positions(tensors["positions"].float(), plan.side // self.patch)
        self.register_buffer("first", tensors["first"].float() + positions[0])
        self.register_buffer("positions", positions[1:])
        self.before = _norm(tensors, "before", plan) if "before.weight" in tensors else nn.Identity()
        count = sum(name.endswith("norm_1.weight") for name in tensors)
        self.blocks = nn.Sequential(*(_Block(_under(tensors, f"blocks.{index}."), plan) for index in range(count)))
        self.after = _norm(tensors, "after", plan)
        self.project = _linear(tensors["projection"].T, None) if "projection" in tensors else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, side, side) float32, normalised → (b, d)."""
        grid = x.shape[-1] // self.patch
        cut = x.reshape(len(x), 3, grid, self.patch, grid, self.patch).permute(0, 2, 4, 1, 3, 5)
        tokens = self.patches(cut.reshape(len(x), grid * grid, -1)).float() + self.get_buffer("positions")
        first = self.get_buffer("first").expand(len(x), 1, -1)
        x = self.blocks(self.before(torch.cat([first, tokens], dim=1)))
        rows: Tensor = self.project(self.after(x[:, 0]))
        return rows


class _Block(nn.Module):
    def __init__(self, tensors: Mapping[str, Tensor], plan: VitPlan) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = _norm(tensors, "norm_1", plan), _norm(tensors, "norm_2", plan)
        self.into, self.out, self.up, self.down = (
            _linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in ("into", "out", "up", "down")
        )
        one = torch.ones(())
        self.register_buffer("scale_1", tensors.get("scale_1", one).float())
        self.register_buffer("scale_2", tensors.get("scale_2", one).float())
        self.activation = plan.activation

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, d) → (b, n, d) float32."""
        batch, length, width = x.shape
        parts = self.into(self.norm_1(x)).view(batch, length, 3, width // _HEAD, _HEAD)
        mixed = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4).unbind())
        x = x + self.get_buffer("scale_1") * self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        deeper: Tensor = self.down(self.activation(self.up(self.norm_2(x))))
        return x + self.get_buffer("scale_2") * deeper


def _positions(learnt: Tensor, side: int) -> Tensor:
    """(1 + g², d) learnt positions, the class token's first → (1 + side², d)."""
    grid = isqrt(len(learnt) - 1)
    if grid == side:
        return learnt
    plane = learnt[1:].T.reshape(1, -1, grid, grid)
    # By a factor, not by a size: the official code does so, and the factor's offset moves every sampling point.
    factor = (side + _OFFSET) / grid
    plane = F.interpolate(plane, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([learnt[:1], plane.flatten(2)[0].T])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _norm(tensors: Mapping[str, Tensor], name: str, plan: VitPlan) -> nn.LayerNorm:
    norm = nn.LayerNorm(len(tensors[f"{name}.weight"]), eps=plan.epsilon)
    norm.load_state_dict({part: tensors[f"{name}.{part}"].float() for part in ("weight", "bias")})
    return norm


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    tensors = {"weight": weight.float().contiguous()} | ({} if bias is None else {"bias": bias.float()})
    layer.load_state_dict(tensors, assign=True)
    return layer
