"""What people type into pages. A form checks the shape of its input; what may happen is decided by the services."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm
from django.utils.text import slugify

from evalhub.studies.models import Membership, Modality, Role, Study, TokenScope, User
from evalhub.studies.services import MOST_QUESTIONS, Question


class SignInForm(AuthenticationForm):
    # One sentence for every reason, so that nobody can learn which names exist.
    error_messages = {
        "invalid_login": "That name and password do not belong together. Check both, or have the password reset.",
        "inactive": "That name and password do not belong together. Check both, or have the password reset.",
    }


class AccountForm(UserCreationForm):
    """A new person's account."""

    email = forms.EmailField(required=False, help_text="Only used to reset a forgotten password.")

    class Meta:
        model = User
        fields = ("username", "email")
        help_texts = {"username": "Letters, digits and @ . + - _ only."}


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
        max_length=200, initial="Which one is better?", help_text="What raters answer about every pair."
    )
    description = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is compared, for whoever sees the study.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("name") and not cleaned.get("slug"):
            cleaned["slug"] = slugify(cleaned["name"])[:64].strip("-_")
            if not cleaned["slug"] and "slug" not in self.errors:
                self.add_error("slug", "No short name can be made from this name; give one, such as “faces-4x”.")
        return cleaned


def _limit(label: str, help_text: str) -> forms.IntegerField:
    """A number of votes; empty for as many as there are."""
    return forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, label=label, help_text=f"{help_text} Empty: no limit."
    )


class StudySettingsForm(forms.ModelForm):
    """What an owner may change. Publishing freezes how pictures are shown and when ratings are."""

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

    GROUPS = (
        ("Texts", ("name", "description", "consent", "instructions")),
        ("Limits", ("votes_per_rater", "votes_per_rater_per_day", "vote_budget", "closes_when_separated")),
        ("Showing", ("publishes_late", "works_without_javascript", "requires_watching", "presentation_edge")),
    )

    class Meta:
        model = Study
        fields = (
            "name",
            "description",
            "consent",
            "instructions",
            "votes_per_rater",
            "votes_per_rater_per_day",
            "vote_budget",
            "closes_when_separated",
            "publishes_late",
            "works_without_javascript",
            "requires_watching",
            "presentation_edge",
        )
        labels = {
            "closes_when_separated": "Close when the order is settled",
            "publishes_late": "Publish ratings only when the study is closed",
            "works_without_javascript": "Raters may vote without JavaScript",
            "requires_watching": "Answers wait until both videos were watched",
            "presentation_edge": "Longest side shown, in pixels",
        }
        help_texts = {
            "consent": "Markdown. A rater agrees to this before she compares; changing it asks everybody again.",
            "closes_when_separated": (
                "The study closes itself when the votes tell every contestant from the next one in the ranking of each "
                "question. The rule allows for looking often: at most 5 % of rankings ever get such a verdict wrong."
            ),
            "publishes_late": (
                "Until then ratings, ranks and what people answered are shown to owners only, so that nobody can vote "
                "or submit by the standings."
            ),
            "works_without_javascript": (
                "Such votes are marked, since both pictures cannot be revealed at the same moment."
            ),
            "requires_watching": "To the end, at any speed. Studies of videos only.",
            "presentation_edge": "Larger pictures are shown smaller to raters. Metrics always read the originals.",
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "consent": forms.Textarea(attrs={"rows": 8}),
            "instructions": forms.Textarea(attrs={"rows": 8}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["presentation_edge"].widget.attrs.update(min=64, max=16_384)
        if self.instance.published_at:
            for name in ("presentation_edge", "publishes_late"):
                self.fields[name].disabled = True
                self.fields[name].help_text = "Frozen when the study was published."

        if self.instance.modality != Modality.VIDEO:
            del self.fields["requires_watching"]

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        return [(heading, [self[name] for name in names if name in self.fields]) for heading, names in self.GROUPS]


class QuestionForm(forms.Form):
    """One question of a draft."""

    key = forms.SlugField(max_length=32, required=False, widget=forms.HiddenInput)
    name = forms.CharField(max_length=80, help_text="In a word or two; columns are headed by it.")
    question = forms.CharField(max_length=200, help_text="What raters read beside every pair of pictures.")
    allows_tie = forms.BooleanField(required=False, initial=True, label="“Equally good” is an answer")
    allows_both_bad = forms.BooleanField(required=False, initial=True, label="“Both bad” is an answer")


class BaseQuestions(forms.BaseFormSet):
    """The questions of a draft, and room for one more."""

    def add_fields(self, form: forms.Form, index: int | None) -> None:
        super().add_fields(form, index)
        place = form.fields["ORDER"]
        place.label, place.help_text = "Place", "Questions are asked in this order; empty: last."
        if "DELETE" in form.fields:
            form.fields["DELETE"].label = "Remove this question"

    @property
    def questions(self) -> list[Question]:
        """As they were typed, in their order; of a valid formset."""
        names = ("key", "name", "question", "allows_tie", "allows_both_bad")
        return [Question(**{name: form.cleaned_data[name] for name in names}) for form in self.ordered_forms]


QuestionsFormSet = forms.formset_factory(
    QuestionForm,
    formset=BaseQuestions,
    extra=1,
    max_num=MOST_QUESTIONS,
    can_order=True,
    can_delete=True,
    can_delete_extra=False,
)


class WithdrawalForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Everybody who sees the study can read it.",
    )


class ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files; cleans to a list."""

    widget = ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        if not data:
            return []
        return [super(FilesField, self).clean(file, initial) for file in data]


class PromptsForm(forms.Form):
    """Prompts from a list, from reference pictures, or from both."""

    prompt_list = forms.FileField(
        required=False,
        label="List of prompts",
        help_text="CSV with the columns key, text and tags (parted by spaces), or one JSON object per line (.jsonl). "
        "For editing, source_text says what the source shows.",
        widget=forms.FileInput(attrs={"accept": ".csv,.jsonl,.ndjson,text/csv"}),
    )
    references = FilesField(
        required=False,
        label="Reference pictures",
        help_text="What each output should have been, for LPIPS and FID. Named after their prompts' keys: KEY.png.",
        widget=ManyFiles(attrs={"accept": "image/*"}),
    )
    sources = FilesField(
        required=False,
        label="Source pictures",
        help_text="What each output was made from, for editing. Named likewise.",
        widget=ManyFiles(attrs={"accept": "image/*"}),
    )
    masks = FilesField(
        required=False,
        label="Masks",
        help_text="White where the source was to be changed, black where it was to stay. Named likewise.",
        widget=ManyFiles(attrs={"accept": "image/*"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not any(cleaned.get(name) for name in self.fields):
            raise forms.ValidationError("Choose a list of prompts, pictures, or both.")
        return cleaned


class MemberForm(forms.Form):
    who = forms.CharField(max_length=254, label="User name or email")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.RESEARCHER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class InviteForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, initial=Role.RATER)
    max_uses = forms.IntegerField(
        required=False, min_value=1, label="For at most", help_text="People. Empty: no limit."
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        initial=30,
        label="Works for",
        help_text="Days. Empty: until revoked.",
    )


class TokenForm(forms.Form):
    """A new API token of this person."""

    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “training cluster”.")
    scope = forms.ChoiceField(choices=TokenScope.choices, initial=TokenScope.SUBMIT)
    study = forms.ModelChoiceField(
        queryset=Study.objects.none(),
        required=False,
        empty_label="All my studies",
        to_field_name="slug",
        help_text="A token for one study cannot reach any other.",
    )
    days = forms.TypedChoiceField(
        coerce=int,
        choices=[(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year")],
        initial=90,
        label="Works for",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["study"]
        assert isinstance(field, forms.ModelChoiceField)
        rated = Membership.objects.filter(user=user, role=Role.RATER)
        field.queryset = Study.objects.seen_by(user).exclude(pk__in=rated.values("study"))

    @property
    def expiry(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])
