"""Simulated raters: how they judge, from the pixels that a person would be shown.

A simulated rater likes the side that is nearer to the prompt's reference by SSIM of the luma. Her preference in logits
is her sensitivity times the difference of the two SSIMs, plus her bias for the left side, plus logistic noise; within
her threshold it is a tie. Two sides below her floor are both bad, and now and then she answers at random. Her
sensitivity, bias, threshold, floor and lapses are drawn once, from the spreads below.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from raters.models import Choice

Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Temper:
    """One rater's habits: logits per unit of SSIM, logits for the left side, logits, SSIM, probability."""

    sensitivity: float
    left_bias: float
    tie_threshold: float
    floor: float
    lapses: float

    @classmethod
    def draw(cls, random: np.random.Generator) -> "Temper":
        return cls(
            sensitivity=float(30 * np.exp(random.normal(0, 0.3))),
            left_bias=float(random.normal(0.1, 0.15)),
            tie_threshold=float(random.uniform(0.05, 0.5)),
            floor=float(random.uniform(0.3, 0.5)),
            lapses=float(random.uniform(0.0, 0.06)),
        )


def judge(temper: Temper, left: float, right: float, offered: list[Choice], random: np.random.Generator) -> Choice:
    """The answer to a pair.

    Args:
        left, right: each side's likeness to the reference.
        offered: the answers that the question takes.
    """
    if random.random() < temper.lapses:
        return offered[int(random.integers(len(offered)))]
    if max(left, right) < temper.floor and Choice.BOTH_BAD in offered:
        return Choice.BOTH_BAD
    preference = temper.sensitivity * (left - right) + temper.left_bias
    felt = preference + float(random.logistic())
    if abs(felt) < temper.tie_threshold and Choice.TIE in offered:
        return Choice.TIE
    return Choice.LEFT if felt > 0 else Choice.RIGHT


def likeness(shown: bytes, reference: Image.Image) -> float:
    """SSIM of what is shown to the reference at the same size, 1 when they are equal."""
    with Image.open(io.BytesIO(shown)) as picture:
        return float(structural_similarity(_luma(picture), _luma(reference), data_range=255))


def _luma(picture: Image.Image) -> Luma:
    return np.asarray(picture.convert("L"))
