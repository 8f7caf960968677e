"""CLIPScore: how well a picture agrees with its caption, from the cosine of their CLIP embeddings. Higher is better.

The raw cosine is kept for every sample; 2.5 · max(cosine, 0) (Hessel et al.) is the score, and 100 · cosine is reported
beside it. Each is derived per sample and then averaged. A video's cosine is the mean of its sampled frames'. CLIP reads
77 tokens; captions that had to be cut are counted.

Source: Hessel et al. 2021 (arXiv:2104.08718), without its “A photo depicts ” prefix, which the protocol can set.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.intervals import mean_estimate
from metrics.engine.moments import Rows
from metrics.engine.reduced import Reduced

WEIGHT = 2.5


def cosines(first: Rows, second: Rows) -> NDArray[np.float64]:
    """Cosines of unit rows, (n, d) or (n, f, d) → (n,) in [-1, 1]: of frame with frame, averaged over frames."""
    d = first.shape[-1]
    products = first.astype(np.float64).reshape(len(first), -1, d) * second.astype(np.float64).reshape(
        len(second), -1, d
    )
    means: NDArray[np.float64] = products.sum(axis=2).mean(axis=1)
    return means


def split_texts(texts: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """(n, d + 1) rows as `extractors.clip.ClipText` makes them → (n, d) unit rows, and which captions were cut."""
    return texts[:, :-1], texts[:, -1] > 0.5


def cut_captions(cut: NDArray[np.bool_]) -> tuple[str, ...]:
    """The sentence about captions that were cut, where there are any."""
    count = int(cut.sum())
    if count == 0:
        return ()
    if count == 1:
        return ("1 caption is longer than the 77 tokens CLIP reads and was cut; shorten it.",)
    return (f"{count:,} captions are longer than the 77 tokens CLIP reads and were cut; shorten them.",)


def clip_scores(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) cosines → (n,) scores in [0, 2.5]."""
    return WEIGHT * np.maximum(cosine, 0.0)


class ClipMean:
    """The mean of per-sample scores, with the raw cosines beside it."""

    def __init__(self) -> None:
        self._cosines: list[NDArray[np.float64]] = []
        self._cut: list[NDArray[np.bool_]] = []

    def add(self, block: Block) -> None:
        texts, cut = split_texts(block.columns["clip_text"])
        self._cosines.append(cosines(block.columns["clip_image"], texts))
        self._cut.append(cut)

    def finish(self, metric: str) -> Reduced:
        cosine, cut = np.concatenate(self._cosines), np.concatenate(self._cut)
        values = clip_scores(cosine)
        return Reduced(
            mean_estimate(values),
            per_sample=values,
            details={
                "mean_cosine": float(cosine.mean()),
                "cosine_x100": 100 * float(cosine.mean()),
                "captions_cut": float(cut.sum()),
            },
            per_sample_details={"cosine": cosine, "caption_cut": cut},
            warnings=cut_captions(cut),
        )
