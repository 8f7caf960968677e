"""Fields for several files at once."""

from typing import Any

from django import forms


class ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files; cleans to a list."""

    widget = ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        if not data:
            return []
        return [super(FilesField, self).clean(file, initial) for file in data]
