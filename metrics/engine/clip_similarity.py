"""CLIP similarities of pictures: with a reference, and of an edit's direction with its captions'. Higher is better.

Image similarity: the cosine of the embeddings of a sample and its reference; of a video, the mean over its sampled
frames, each with the reference's frame of the same place.

Directional similarity: the cosine of (sample - source) with (caption - source caption), all four being unit-length CLIP
embeddings: whether the picture changed in the way in which the text did. A sample whose embedding is its source's has
no direction, nor have two equal captions: such a sample counts as 0, is marked, and the score says how many there are.

Source: Radford et al. 2021 (arXiv:2103.00020); Gal et al. 2021 (arXiv:2108.00946), as used for editing by Brooks et al.
    2022 (arXiv:2211.09800). Within 1e-3 of a plain open_clip loop (docs/metrics.md).
"""

import numpy as np
from numpy.typing import NDArray

from metrics.engine.blocks import Block
from metrics.engine.clip_score import cosines, cut_captions, split_texts
from metrics.engine.intervals import mean_estimate
from metrics.engine.moments import Rows
from metrics.engine.reduced import Reduced, Values

SHORTEST = 1e-5
"""A difference of unit embeddings below this is rounding and has no direction."""

Flags = NDArray[np.bool_]


class ClipImageMean:
    """The mean cosine of samples and their references."""

    def __init__(self) -> None:
        self._cosines: list[Values] = []

    def add(self, block: Block) -> None:
        self._cosines.append(cosines(block.columns["clip_image"], block.columns["clip_reference"]))

    def finish(self, metric: str) -> Reduced:
        values = np.concatenate(self._cosines)
        return Reduced(mean_estimate(values), per_sample=values)


class DirectionalMean:
    """The mean cosine of the direction of an edit and that of its captions."""

    def __init__(self) -> None:
        self._values: list[Values] = []
        self._unedited: list[Flags] = []
        self._equal_captions: list[Flags] = []
        self._cut: list[Flags] = []

    def add(self, block: Block) -> None:
        text, cut = split_texts(block.columns["clip_text"])
        source_text, source_cut = split_texts(block.columns["clip_source_text"])
        picture_step, unedited = _directions(block.columns["clip_source"], block.columns["clip_image"])
        text_step, equal_captions = _directions(source_text, text)
        self._values.append((picture_step * text_step).sum(axis=1))
        self._unedited.append(unedited)
        self._equal_captions.append(equal_captions)
        self._cut.append(cut | source_cut)

    def finish(self, metric: str) -> Reduced:
        values, cut = np.concatenate(self._values), np.concatenate(self._cut)
        unedited, equal_captions = np.concatenate(self._unedited), np.concatenate(self._equal_captions)
        return Reduced(
            mean_estimate(values),
            per_sample=values,
            details={
                "unedited": float(unedited.sum()),
                "equal_captions": float(equal_captions.sum()),
                "captions_cut": float(cut.sum()),
            },
            per_sample_details={"unedited": unedited, "equal_captions": equal_captions, "caption_cut": cut},
            warnings=(*_without_direction(unedited, equal_captions), *cut_captions(cut)),
        )


def _directions(start: Rows, end: Rows) -> tuple[Values, Flags]:
    """(n, d) steps from start to end at unit length, and which have no length; those are zeros."""
    step = end.astype(np.float64) - start.astype(np.float64)
    length = np.sqrt(np.square(step).sum(axis=1))
    none = length < SHORTEST
    return np.where(none[:, None], 0.0, step / np.where(none, 1.0, length)[:, None]), none


def _without_direction(unedited: Flags, equal_captions: Flags) -> tuple[str, ...]:
    sentences = []
    if count := int(unedited.sum()):
        sentences.append(f"{_samples(count)} to CLIP as the source does, so the edit has no direction and counts as 0.")
    if count := int(equal_captions.sum()):
        sentences.append(
            f"{count:,} of the captions {'says' if count == 1 else 'say'} what the source caption says, so there is no "
            "direction to follow and the sample counts as 0; write what changes."
        )
    return tuple(sentences)


def _samples(count: int) -> str:
    return "1 sample looks the same" if count == 1 else f"{count:,} samples look the same"
