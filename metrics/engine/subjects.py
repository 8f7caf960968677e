"""What is measured: a subject is one sample with what it is compared with. `folders` makes them of files."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from metrics.engine.columns import Role

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Picture:
    """A picture, or a video, beside a sample.

    Attributes:
        key: SHA-256 of its bytes; rows are found again under it.
        open: gives its bytes, as often as asked, and is called from decoding threads.
    """

    key: str
    open: Opener


@dataclass(frozen=True)
class Subject:
    """One sample to measure, with what its metrics compare it with.

    Attributes:
        key, open: the sample's own, as `Picture`'s.
        caption: what the sample was asked to show; in editing, what the edited picture shows.
        reference: a real picture of what the sample should be.
        source: the picture that was edited.
        mask: white where the source was to be edited, black where it was to stay; of the source's size.
        source_caption: what the source shows.
        name: what to call it in an error; the key where empty.
    """

    key: str
    open: Opener
    caption: str | None = None
    reference: Picture | None = None
    source: Picture | None = None
    mask: Picture | None = None
    source_caption: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or self.key

    def picture(self, role: Role) -> Picture | None:
        """The picture that plays `role`."""
        if role is Role.SAMPLE:
            return Picture(self.key, self.open)
        return {Role.REFERENCE: self.reference, Role.SOURCE: self.source, Role.MASK: self.mask}[role]

    def text(self, role: Role) -> str | None:
        """The text that plays `role`."""
        return self.caption if role is Role.CAPTION else self.source_caption

    def has(self, role: Role) -> bool:
        return (self.text(role) if role.is_text else self.picture(role)) is not None

    def content(self, roles: Sequence[Role]) -> str:
        """The key of a row made of `roles`: hashes of what plays them, so that equal content has one row."""
        return "|".join(self._hash(role) for role in roles)

    def _hash(self, role: Role) -> str:
        if role.is_text:
            return hashlib.sha256((self.text(role) or "").encode()).hexdigest()
        picture = self.picture(role)
        return picture.key if picture else ""
