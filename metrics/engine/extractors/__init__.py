"""Extractors: what turns decoded pixels or a text into rows of a column, on the device.

Each brings a picture to its own input by the protocol's resize, in float32 on the tensor, then runs its network on
batches of one fixed size: the last batch is padded, so that a row does not depend on which shard or batch its picture
fell into.
"""

from metrics.engine.extractors.extractor import Extractor
from metrics.engine.extractors.loading import MAKERS, Maker, checked_device, load_extractor, pinned
from metrics.engine.extractors.resizes import resize_and_crop, resize_bicubic, resize_levels, resize_tf1

__all__ = [
    "MAKERS",
    "Extractor",
    "Maker",
    "checked_device",
    "load_extractor",
    "pinned",
    "resize_and_crop",
    "resize_bicubic",
    "resize_levels",
    "resize_tf1",
]
