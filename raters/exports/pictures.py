"""The bytes of what was submitted, for rows that hold them."""

from django.core.files.storage import default_storage

from evalhub.studies.models import Media, Prompt


class Pictures:
    """Files of one prompt at a time: its pairs show the same few again and again, so each is read once."""

    def __init__(self) -> None:
        self._prompt: int | None = None
        self._read: dict[int, bytes] = {}

    def of(self, prompt: Prompt, media: Media) -> bytes:
        if self._prompt != prompt.pk:
            self._prompt = prompt.pk
            self._read.clear()
        if media.pk not in self._read:
            with default_storage.open(media.path) as file:
                self._read[media.pk] = bytes(file.read())
        return self._read[media.pk]

    def attached(self, prompt: Prompt, names: list[str]) -> dict[str, bytes | None]:
        """What the prompt came with: source, mask."""
        media = {name: getattr(prompt, name) for name in names}
        return {name: self.of(prompt, one) if one else None for name, one in media.items()}
