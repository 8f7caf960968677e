"""Frame consistency: the mean cosine of the CLIP embeddings of a video's neighbouring sampled frames. Higher is better.

It sees changes of subject, style and scene between sampled frames. It does not see what CLIP does not: flicker of fine
texture, small deformations, jerky motion between the sampled frames. A still picture shown as a video gets 1, so read
it beside a metric of what the video should show.

Source: Esser et al. 2023 (arXiv:2302.03011), over sampled frames instead of all. Within 1e-3 of a plain open_clip loop
    (docs/metrics.md).
"""

import numpy as np

from metrics.engine.blocks import Block
from metrics.engine.clip_score import cosines
from metrics.engine.intervals import mean_estimate
from metrics.engine.reduced import Reduced, Values


class FrameConsistency:
    """The mean over videos."""

    def __init__(self) -> None:
        self._values: list[Values] = []

    def add(self, block: Block) -> None:
        """Reads `clip_image`, (n, f, d) unit rows of f ≥ 2 frames."""
        frames = block.columns["clip_image"]
        self._values.append(cosines(frames[:, :-1], frames[:, 1:]))

    def finish(self, metric: str) -> Reduced:
        values = np.concatenate(self._values)
        return Reduced(mean_estimate(values), per_sample=values)
