"""The columns: what each per-sample array is made of, by what, and with which weights. Imports no torch.

A column is a maker applied to roles of a subject. One maker may fill several columns: `clip_image` makes the CLIP
embedding of a sample, of its source and of its reference. A row is found again by its maker's fingerprint and the
content of what it was made of, so the embedding of one picture is one cached row, whatever part the picture plays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a picture or a text is to a subject."""

    SAMPLE = "sample"
    REFERENCE = "reference"
    SOURCE = "source"
    MASK = "mask"
    CAPTION = "caption"
    SOURCE_CAPTION = "source caption"

    @property
    def is_text(self) -> bool:
        return self in (Role.CAPTION, Role.SOURCE_CAPTION)


@dataclass(frozen=True)
class Column:
    """One column's unchanging facts.

    Attributes:
        maker: what computes its rows: a key of `extractors.MAKERS`.
        version: raised when the maker's code changes its numbers, so that no cached row of the old code is used.
        roles: what of a subject a row is made of, in the order in which the maker takes them.
        weights: the maker's networks, by their names in the catalogue.
        minimum_side: pixels a side below which the maker refuses pictures. Makers with more than one picture also want
            all of them at one size.
    """

    name: str
    maker: str
    version: int
    roles: tuple[Role, ...]
    weights: tuple[str, ...] = ()
    minimum_side: int = 1

    @property
    def reads_pictures(self) -> bool:
        return not all(role.is_text for role in self.roles)


LPIPS_SIDE = 32
"""AlexNet's pools have nothing left to pool below it; VGG16 gets the same."""
DISTS_SIDE = 16
"""Below it the deepest layer is smaller than one position."""
SSIM_SIDE = 11
"""The window's own."""
MS_SSIM_SIDE = 176
"""The window's on the coarsest of five scales."""

_CLIP = ("clip-vit-b-32",)
_PAIR = (Role.SAMPLE, Role.REFERENCE)
_EDIT = (Role.SAMPLE, Role.SOURCE, Role.MASK)

_COLUMNS = (
    Column("inception", "inception", 2, (Role.SAMPLE,), ("inception-2015-12-05",)),
    Column("lpips_alex", "lpips_alex", 2, _PAIR, ("lpips-alexnet",), LPIPS_SIDE),
    Column("lpips_vgg", "lpips_vgg", 2, _PAIR, ("lpips-vgg16",), LPIPS_SIDE),
    Column("lpips_outside", "lpips_outside", 2, _EDIT, ("lpips-alexnet",), LPIPS_SIDE),
    Column("dists", "dists", 1, _PAIR, ("lpips-vgg16", "dists-vgg16"), DISTS_SIDE),
    Column("squared_error", "squared_error", 1, _PAIR),
    Column("squared_error_outside", "squared_error_outside", 1, _EDIT),
    Column("ssim", "ssim", 1, _PAIR, (), SSIM_SIDE),
    Column("ms_ssim", "ms_ssim", 1, _PAIR, (), MS_SSIM_SIDE),
    Column("clip_image", "clip_image", 2, (Role.SAMPLE,), _CLIP),
    Column("clip_reference", "clip_image", 2, (Role.REFERENCE,), _CLIP),
    Column("clip_source", "clip_image", 2, (Role.SOURCE,), _CLIP),
    Column("clip_text", "clip_text", 2, (Role.CAPTION,), _CLIP),
    Column("clip_large", "clip_large", 1, (Role.SAMPLE,), ("clip-vit-l-14-336",)),
    Column("dinov2", "dinov2", 1, (Role.SAMPLE,), ("dinov2-vit-l-14",)),
    Column("clip_source_text", "clip_text", 2, (Role.SOURCE_CAPTION,), _CLIP),
)

COLUMNS: Mapping[str, Column] = MappingProxyType({column.name: column for column in _COLUMNS})
