"""A new study, and the sections of a study's settings."""

from typing import Any, ClassVar

from django import forms
from django.utils.text import slugify

from evalhub.studies.models import Modality, Study
from evalhub.studies.usual import questions_for, reasons_for

LONGEST_REASON = 40
FROZEN = "Frozen when the study was published."


class StudyForm(forms.Form):
    """A new study."""

    name = forms.CharField(max_length=200)
    slug = forms.SlugField(
        max_length=64,
        required=False,
        label="Short name",
        help_text="Its name in addresses and commands: lower-case letters, digits, hyphens. Empty: made from the name.",
    )
    modality = forms.ChoiceField(
        choices=Modality, label="What is compared", help_text="The kind of outputs that contestants deliver."
    )
    question = forms.CharField(
        max_length=200,
        initial="Which one is better?",
        help_text="What raters answer about every pair. More questions can be added.",
        widget=forms.TextInput(attrs={"list": "usual-questions"}),
    )
    description = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is compared, for whoever sees the study.",
    )

    @property
    def usual(self) -> list[str]:
        return [usual.question for usual in questions_for(Modality.VIDEO)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("name") and not cleaned.get("slug"):
            cleaned["slug"] = slugify(cleaned["name"])[:64].strip("-_")
            if not cleaned["slug"] and "slug" not in self.errors:
                self.add_error("slug", "No short name can be made from this name; give one, such as “faces-4x”.")
        return cleaned


class SectionForm(forms.ModelForm):
    """One section of a study's settings. What publishing froze is shown and cannot be changed."""

    heading: ClassVar[str]
    frozen: ClassVar[tuple[str, ...]] = ()
    videos_only: ClassVar[tuple[str, ...]] = ()

    class Meta:
        model = Study
        fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.modality != Modality.VIDEO:
            for name in self.videos_only:
                del self.fields[name]
        if self.instance.published_at:
            for name in self.frozen:
                if name in self.fields:
                    self.fields[name].disabled = True
                    self.fields[name].help_text = FROZEN

    @property
    def changes(self) -> dict[str, Any]:
        """What was changed, by the fields of the study."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class TextsForm(SectionForm):
    heading = "Texts"

    class Meta:
        model = Study
        fields = ("name", "description", "licence", "consent", "instructions")
        help_texts = {
            "description": "What is compared, for whoever sees the study.",
            "licence": "Under what terms its prompts and outputs may be used; it goes into exports.",
            "consent": "Markdown. A rater agrees to this before she compares; changing it asks everybody again.",
            "instructions": "Markdown, shown before the first comparison, above the questions and the keys.",
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "consent": forms.Textarea(attrs={"rows": 10}),
            "instructions": forms.Textarea(attrs={"rows": 10}),
        }


class ShowingForm(SectionForm):
    """How outputs are shown, and what a rater may say besides her answers."""

    heading = "Showing"
    field_order = (
        "presentation_edge",
        "requires_watching",
        "works_without_javascript",
        "is_sensitive",
        "reason_tags",
        "more_reasons",
        "asks_region",
        "asks_comment",
    )
    frozen = (
        "presentation_edge",
        "requires_watching",
        "is_sensitive",
        "reason_tags",
        "more_reasons",
        "asks_region",
        "asks_comment",
    )
    videos_only = ("requires_watching",)

    reason_tags = forms.MultipleChoiceField(
        required=False,
        label="Reasons to tick",
        widget=forms.CheckboxSelectMultiple,
        help_text="A rater may say why, in a click. The usual ones are shown to her in her language.",
    )
    more_reasons = forms.CharField(
        required=False,
        label="Reasons of your own",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One in a line, at most 40 characters each.",
    )

    class Meta:
        model = Study
        fields = (
            "presentation_edge",
            "requires_watching",
            "works_without_javascript",
            "is_sensitive",
            "reason_tags",
            "more_reasons",
            "asks_region",
            "asks_comment",
        )
        labels = {
            "presentation_edge": "Longest side shown, in pixels",
            "requires_watching": "Answers wait until both videos were watched",
            "works_without_javascript": "Raters may vote without JavaScript",
            "is_sensitive": "Outputs may upset: blur them until a rater agrees to see them",
            "asks_region": "A rater may mark where the worse one is wrong",
            "asks_comment": "A rater may add a few words",
        }
        help_texts = {
            "presentation_edge": "Larger pictures are shown smaller to raters. Metrics always read the originals.",
            "requires_watching": "To the end, at any speed.",
            "works_without_javascript": (
                "Such votes are marked, since both pictures cannot be revealed at the same moment."
            ),
            "is_sensitive": "",
            "asks_region": "",
            "asks_comment": "",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["presentation_edge"].widget.attrs.update(min=64, max=16_384)
        usual = reasons_for(self.instance.modality)
        reasons = self.fields["reason_tags"]
        assert isinstance(reasons, forms.MultipleChoiceField)
        reasons.choices = [(reason, reason) for reason in usual]
        self.initial["reason_tags"] = [tag for tag in self.instance.reason_tags if tag in usual]
        self.initial["more_reasons"] = "\n".join(tag for tag in self.instance.reason_tags if tag not in usual)

    def clean_more_reasons(self) -> str:
        """One reason in a line, without blank lines or spaces around."""
        lines = [" ".join(line.split()) for line in self.cleaned_data["more_reasons"].splitlines()]
        if long := [line for line in lines if len(line) > LONGEST_REASON]:
            raise forms.ValidationError(
                f"A reason has at most {LONGEST_REASON} characters; “{long[0][:80]}” has {len(long[0])}."
            )
        return "\n".join(dict.fromkeys(line for line in lines if line))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "reason_tags" in cleaned and "more_reasons" in cleaned:
            own = cleaned["more_reasons"].split("\n") if cleaned["more_reasons"] else []
            cleaned["reason_tags"] = list(dict.fromkeys([*cleaned["reason_tags"], *own]))
        return cleaned

    @property
    def changes(self) -> dict[str, Any]:
        given = super().changes
        if {"reason_tags", "more_reasons"} & set(given):
            given["reason_tags"] = self.cleaned_data["reason_tags"]
        given.pop("more_reasons", None)
        return given


def _limit(label: str, help_text: str) -> forms.IntegerField:
    """A number of votes; empty for as many as there are."""
    return forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, label=label, help_text=f"{help_text} Empty: no limit."
    )


class LimitsForm(SectionForm):
    """When a rater is done, when the study is, and when its ratings are published."""

    heading = "Limits"
    frozen = ("publishes_late",)

    votes_per_rater = _limit("Comparisons per rater", "A rater is done after so many.")
    votes_per_rater_per_day = _limit(
        "Comparisons per rater and day",
        "So that nobody can flood the study with votes in one night. Days are those of UTC.",
    )
    vote_budget = _limit(
        "Budget of answers",
        "The study closes itself when so many pairs are answered, at once if they are already. Answers of excluded "
        "raters and controls do not count; several at the same moment may exceed it by a few.",
    )

    class Meta:
        model = Study
        fields = (
            "votes_per_rater",
            "votes_per_rater_per_day",
            "vote_budget",
            "closes_when_separated",
            "publishes_late",
        )
        labels = {
            "closes_when_separated": "Close when the order is settled",
            "publishes_late": "Publish ratings only when the study is closed",
        }
        help_texts = {
            "closes_when_separated": (
                "The study closes itself when the votes tell every contestant from the next one in the ranking of each "
                "question. The rule allows for looking often: at most 5 % of rankings ever get such a verdict wrong."
            ),
            "publishes_late": (
                "Until then ratings, ranks and what people answered are shown to owners only, so that nobody can vote "
                "or submit by the standings."
            ),
        }


SECTIONS: dict[str, type[SectionForm]] = {"texts": TextsForm, "showing": ShowingForm, "limits": LimitsForm}
