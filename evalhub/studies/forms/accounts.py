"""Signing in, a new account, a new token."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm
from django.utils.translation import gettext_lazy as _

from evalhub.studies.models import Membership, Role, Study, TokenScope, User


class SignInForm(AuthenticationForm):
    # One sentence for every reason, so that nobody can learn which names exist.
    error_messages = {
        "invalid_login": _("That name and password do not belong together. Check both, or have the password reset."),
        "inactive": _("That name and password do not belong together. Check both, or have the password reset."),
    }


class AccountForm(UserCreationForm):
    """A new person's account."""

    email = forms.EmailField(required=False, help_text=_("Only used to reset a forgotten password."))

    class Meta:
        model = User
        fields = ("username", "email")
        help_texts = {"username": _("Letters, digits and @ . + - _ only.")}


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
