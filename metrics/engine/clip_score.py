"""CLIPScore: how well a picture agrees with its caption, from the cosine of their CLIP embeddings. Higher is better.

The raw cosine is kept for every sample; 2.5 · max(cosine, 0) (Hessel et al.) is the score, and 100 · cosine is reported
beside it. Each is derived per sample and then averaged. CLIP reads 77 tokens; captions that had to be cut are counted.

Source: Hessel et al. 2021 (arXiv:2104.08718), without its “A photo depicts ” prefix, which the protocol can set.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.intervals import mean_estimate
from metrics.engine.moments import Rows
from metrics.engine.reduced import Reduced

WEIGHT = 2.5


def cosines(images: Rows, texts: Rows) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per sample: the cosine in [-1, 1], and whether the caption was cut.

    Args: images: (n, d) unit rows. texts: (n, d + 1) unit rows, each followed by its cut flag, as `extractors.ClipText`
        makes them.
    """
    products = (images.astype(np.float64) * texts[:, :-1].astype(np.float64)).sum(axis=1)
    return products, texts[:, -1] > 0.5


def clip_scores(cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) cosines → (n,) scores in [0, 2.5]."""
    return WEIGHT * np.maximum(cosine, 0.0)


class ClipMean:
    """The mean of per-sample scores, with the raw cosines beside it."""

    def __init__(self) -> None:
        self._cosines: list[NDArray[np.float64]] = []
        self._cut: list[NDArray[np.bool_]] = []

    def add(self, block: Block) -> None:
        cosine, cut = cosines(block.columns["clip_image"], block.columns["clip_text"])
        self._cosines.append(cosine)
        self._cut.append(cut)

    def finish(self, metric: str) -> Reduced:
        cosine, cut = np.concatenate(self._cosines), np.concatenate(self._cut)
        values = clip_scores(cosine)
        count = int(cut.sum())
        one = "1 caption is longer than the 77 tokens CLIP reads and was cut; shorten it."
        many = f"{count:,} captions are longer than the 77 tokens CLIP reads and were cut; shorten them."
        return Reduced(
            mean_estimate(values),
            per_sample=values,
            details={
                "mean_cosine": float(cosine.mean()),
                "cosine_x100": 100 * float(cosine.mean()),
                "captions_cut": float(count),
            },
            per_sample_details={"cosine": cosine, "caption_cut": cut},
            warnings=(one if count == 1 else many,) if count else (),
        )
