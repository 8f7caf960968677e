"""Layers as each device runs them best: on a CPU oneDNN's, with weights laid out once; on a GPU torch's own.

A layer works in the dtype of the protocol and takes its input in any. Only convolutions, linear layers and attention do
so: what stands between them (normalisations, residual sums, pools' means) stays in the dtype it comes in, float32 for
a transformer. Products are always summed in float32.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TYPICAL_ROWS = 256
"""For how many rows oneDNN lays a matrix out; any other number works as well."""
_LAYOUTS = 8
"""Input shapes for which a convolution keeps its kernel laid out, the latest."""


class Convolution(nn.Module):
    """A convolution with bias, followed by ReLU.

    Args: weight: (out, in, h, w) float32. bias: (out,) float32.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        # By input shape: the best layout depends on it, and another one costs a copy of the kernel at every call.
        self._laid_out: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> Tensor:
        """(b, in, h, w) channels-last in any dtype → (b, out, h', w') channels-last in the layer's."""
        weight, bias = self.get_buffer("weight"), self.get_buffer("bias")
        x = x.to(weight.dtype)
        if not _by_onednn(weight):
            return F.relu_(F.conv2d(x, weight, bias, stride, padding))
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._for(x.shape, stride, padding), bias, padding, [stride, stride], [1, 1], 1, "relu", [], None
        )
        return convolved

    def _for(self, shape: torch.Size, stride: int, padding: tuple[int, int]) -> Tensor:
        laid_out = self._laid_out.get(shape)
        if laid_out is None:
            laid_out = torch.ops.mkldnn._reorder_convolution_weight(
                self.get_buffer("weight"), padding, [stride, stride], [1, 1], 1, list(shape)
            )
            # Threads share the layer: each step is one dictionary operation, and equal layouts may replace each other.
            for oldest in list(self._laid_out)[: 1 - _LAYOUTS]:
                self._laid_out.pop(oldest, None)
            self._laid_out[shape] = laid_out
        return laid_out


class Linear(nn.Module):
    """A linear layer. Args: weight: (out, in). bias: (out,) or None."""

    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().contiguous())
        self.register_buffer("bias", None if bias is None else bias.detach())

    def lay_out(self) -> None:
        """Brings the matrix into oneDNN's own order, which takes the place of the plain one."""
        weight = self.get_buffer("weight")
        if _by_onednn(weight):
            self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) in any dtype → (…, out) in the layer's."""
        weight = self.get_buffer("weight")
        x = x.to(weight.dtype)
        if weight.is_mkldnn:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, self.bias, "none", [], None)
            return product
        return F.linear(x, weight, self.bias)


class Attention(nn.Module):
    """What `nn.MultiheadAttention` computes of one sequence with itself, batch first."""

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        assert original.in_proj_weight is not None
        self.heads = original.num_heads
        self.into = Linear(original.in_proj_weight, original.in_proj_bias)
        self.out = Linear(original.out_proj.weight, original.out_proj.bias)

    def forward(
        self,
        x: Tensor,
        _keys: Tensor | None = None,
        _values: Tensor | None = None,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """(b, n, d) → (b, n, d). `attn_mask` is added to the (n, n) products."""
        batch, length, width = x.shape
        parts = self.into(x).view(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        mask = None if attn_mask is None else attn_mask.to(queries.dtype)
        mixed = F.scaled_dot_product_attention(queries, keys, values, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width)), None


def settled(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """`network` on `device`, ready to run: its linear layers and attentions replaced by these, and the layers here in
    `dtype`. Everything else keeps its dtype. On a GPU what has one input size is compiled, into CUDA graphs."""
    network = _replaced(network).to(device).eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, Convolution | Linear):
            layer.to(dtype)
        if isinstance(layer, Linear):
            layer.lay_out()
    if device.type == "cuda":
        for part in _of_one_input_size(network):
            part.compile(mode="reduce-overhead", dynamic=False)
    return network


def _of_one_input_size(network: nn.Module) -> list[nn.Module]:
    """What always runs on inputs of one size, so that it may become CUDA graphs: a network that says so, or the image
    tower of open_clip's."""
    parts = network if getattr(network, "one_input_size", False) else getattr(network, "visual", None)
    return [parts] if isinstance(parts, nn.Module) else []


def _replaced(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.MultiheadAttention):
            setattr(module, name, Attention(child))
        elif isinstance(child, nn.Linear):
            setattr(module, name, Linear(child.weight, child.bias))
        else:
            _replaced(child)
    return module


def _by_onednn(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    return weight.dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
