"""The questions of a draft, each a small form, and what to do with them."""

from django import forms

from evalhub.studies.services import MOST_QUESTIONS, Question


class QuestionForm(forms.Form):
    """One question of a draft."""

    key = forms.SlugField(max_length=32, required=False, widget=forms.HiddenInput)
    name = forms.CharField(max_length=80, help_text="In a word or two; columns are headed by it.")
    question = forms.CharField(max_length=200, help_text="What raters read beside every pair.")
    allows_tie = forms.BooleanField(required=False, initial=True, label="“Equally good” is an answer")
    allows_both_bad = forms.BooleanField(required=False, initial=True, label="“Both bad” is an answer")


class BaseQuestions(forms.BaseFormSet):
    """The questions of a draft in their order, and room for one more."""

    @property
    def questions(self) -> list[Question]:
        """As they were typed; of a valid formset. Room that was left empty is none."""
        names = ("key", "name", "question", "allows_tie", "allows_both_bad")
        return [
            Question(**{name: form.cleaned_data[name] for name in names})
            for form in self.forms
            if form.cleaned_data.get("name")
        ]


QuestionsFormSet = forms.formset_factory(QuestionForm, formset=BaseQuestions, extra=1, max_num=MOST_QUESTIONS)
