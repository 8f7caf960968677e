"""Prompts by the file, and one by hand."""

from typing import Any

from django import forms

from evalhub.studies.forms.files import FilesField, ManyFiles

LISTS = ".csv,.jsonl,.ndjson,text/csv"


class PromptFilesForm(forms.Form):
    """A list of prompts with the files it names, as they are or in a zip; or pictures alone, named after prompts."""

    prompt_list = forms.FileField(
        required=False,
        label="List of prompts",
        help_text="CSV with the columns key, text and tags (parted by spaces), or one JSON object per line (.jsonl). "
        "The columns source, mask and reference name files; source_text says what the source shows.",
        widget=forms.FileInput(attrs={"accept": LISTS}),
    )
    named_files = FilesField(
        required=False, label="The files that it names", help_text="All of them at once.", widget=ManyFiles
    )
    archive = forms.FileField(
        required=False,
        label="Or a zip with both",
        help_text="The list and its files, in any folders. Files in folders called source, mask and reference that are "
        "named after their prompts (source/KEY.png) need no column.",
        widget=forms.FileInput(attrs={"accept": ".zip,application/zip"}),
    )
    references = FilesField(
        required=False,
        label="Reference pictures",
        help_text="What each output should have been, for LPIPS and FID. Named after their prompts' keys: KEY.png.",
        widget=ManyFiles(attrs={"accept": "image/*,video/*"}),
    )
    sources = FilesField(
        required=False,
        label="Source pictures",
        help_text="What each output was made from, for editing. Named likewise.",
        widget=ManyFiles(attrs={"accept": "image/*,video/*"}),
    )
    masks = FilesField(
        required=False,
        label="Masks",
        help_text="White where the source was to be changed, black where it was to stay. Named likewise.",
        widget=ManyFiles(attrs={"accept": "image/*"}),
    )

    MAIN, APART = ("prompt_list", "named_files", "archive"), ("references", "sources", "masks")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        if not any(cleaned.get(name) for name in self.fields):
            raise forms.ValidationError("Choose a list of prompts, a zip, or pictures.")
        if cleaned.get("archive") and any(cleaned.get(name) for name in self.fields if name != "archive"):
            raise forms.ValidationError("Choose either a zip, which then holds everything, or single files.")
        if cleaned.get("named_files") and not cleaned.get("prompt_list"):
            raise forms.ValidationError("Choose the list of prompts too, which says what these files are.")
        return cleaned

    @property
    def given(self) -> dict[str, Any]:
        """What was chosen, by what the service calls it."""
        given = dict(self.cleaned_data)
        return given | {"files": given.pop("named_files")}

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in self.MAIN]

    @property
    def apart(self) -> list[forms.BoundField]:
        return [self[name] for name in self.APART]


class PromptForm(forms.Form):
    """One prompt by hand."""

    key = forms.CharField(
        max_length=200, label="Key", help_text="Names its output files, such as “cat-01”; no slashes."
    )
    text = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}), label="Prompt")
    tags = forms.CharField(required=False, max_length=500, help_text="Parted by spaces.")
    source = forms.FileField(required=False, label="Source", help_text="What is to be edited or restored.")
    source_text = forms.CharField(required=False, max_length=2000, label="What the source shows")
    mask = forms.FileField(required=False, label="Mask", help_text="White where the source is to be changed.")
    reference = forms.FileField(required=False, label="Reference", help_text="What the output should have been.")
