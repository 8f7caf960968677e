"""CLIP's two towers as extractors, by open_clip."""

from collections.abc import Mapping
from typing import Protocol as Interface
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.engine.extractors.extractor import Extractor
from metrics.engine.extractors.resizes import resize_and_crop
from metrics.engine.protocol import Protocol

_SIDE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
_TOKENS = 8
"""A caption is read in its own length, rounded up to a multiple of this, so that captions of like length make a batch.
"""


class _Clip(Interface):
    """What the engine asks of open_clip's model."""

    def encode_image(self, image: Tensor, normalize: bool) -> Tensor: ...

    token_embedding: nn.Module
    positional_embedding: Tensor
    transformer: nn.Module
    attn_mask: Tensor
    ln_final: nn.Module
    text_projection: Tensor


def clip_network(tensors: Mapping[str, Tensor], model: str) -> nn.Module:
    """open_clip's network called `model` with these tensors."""
    import open_clip  # seconds to import, and only CLIP needs it

    # On no device first: numbers drawn for 150 million weights that are replaced at once would cost seconds.
    with torch.device("meta"):
        network: nn.Module = open_clip.CLIP(**open_clip.get_model_config(model))
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    # The one tensor that checkpoints leave out: no token sees those after it.
    network.attn_mask = torch.full(network.get_buffer("attn_mask").shape, float("-inf")).triu_(1)
    return network


class ClipImage(Extractor):
    """Unit-length CLIP embedding: shorter side to 224, centre crop, whole levels, as open_clip's own transform."""

    def __init__(self, network: nn.Module, device: torch.device, batch: int, protocol: Protocol) -> None:
        super().__init__(network, device, batch, protocol)
        self.mean = torch.tensor(MEAN, device=device)[:, None, None]
        self.std = torch.tensor(STD, device=device)[:, None, None]

    def prepare(self, title: str, pixels: Tensor) -> Tensor:
        return (resize_and_crop(pixels, _SIDE) / 255 - self.mean) / self.std

    def forward(self, batch: Tensor) -> Tensor:
        return cast(_Clip, self.network).encode_image(batch, normalize=True)


class ClipText(Extractor):
    """Unit-length CLIP embedding of a caption, followed by 1.0 if the caption was cut to fit, else 0.0."""

    def __init__(self, network: nn.Module, device: torch.device, batch: int, protocol: Protocol) -> None:
        super().__init__(network, device, batch, protocol)
        import open_clip  # seconds to import, and only CLIP needs it

        self.tokenizer = open_clip.get_tokenizer(protocol.clip_model)

    def prepare(self, title: str, caption: str) -> Tensor:
        text = self.protocol.clip_prefix + caption
        tokens = self.tokenizer(text)[0]
        longer = self.tokenizer(text, context_length=len(tokens) + 1)[0]
        used = int((longer != 0).sum())
        kept = min(len(tokens), -(-used // _TOKENS) * _TOKENS)
        cut = torch.tensor([used > len(tokens)]).to(tokens.dtype)
        return torch.cat([tokens[:kept], cut])[None].to(self.device)

    def forward(self, batch: Tensor) -> Tensor:
        tokens, cut = batch[:, :-1], batch[:, -1:]
        rows = _encode_text(cast(_Clip, self.network), tokens)
        return torch.cat([rows, cut.to(rows.dtype)], dim=1)


def _encode_text(network: _Clip, tokens: Tensor) -> Tensor:
    """(b, n) tokens → (b, d) unit rows: the network's own `encode_text` on the first n of its places. A token sees only
    those before it, so the places after the end change nothing."""
    length = tokens.shape[1]
    x = network.token_embedding(tokens) + network.positional_embedding[:length]
    x = network.ln_final(network.transformer(x, attn_mask=network.attn_mask[:length, :length]))
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=1)]
    return F.normalize(ends @ network.text_projection, dim=-1)
