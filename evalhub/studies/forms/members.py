"""Who takes part in a study, and whose checkpoint no longer does."""

from django import forms

from evalhub.studies.models import Role


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


class WithdrawalForm(forms.Form):
    reason = forms.CharField(
        max_length=500,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Everybody who sees the study can read it.",
    )
