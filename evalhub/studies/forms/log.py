"""What is asked of the log: whose deeds, of which kind, since when."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from evalhub.studies.log_lines import KINDS
from evalhub.studies.models import LogEntry

NOBODY = "-"


class LogForm(forms.Form):
    who = forms.ChoiceField(required=False, label="Who")
    kind = forms.ChoiceField(
        required=False,
        label="What",
        choices=[("", "Everything"), *((name, label) for name, (label, _) in KINDS.items())],
    )
    since = forms.DateField(required=False, label="Since", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *given: Any, entries: QuerySet[LogEntry], **more: Any) -> None:
        super().__init__(*given, **more)
        people = entries.exclude(actor=None).order_by("actor__username").values_list("actor", "actor__username")
        known = [(str(number), name) for number, name in people.distinct()]
        field = self.fields["who"]
        assert isinstance(field, forms.ChoiceField)  # as declared above
        field.choices = [("", "Everybody"), *known, (NOBODY, "No account")]

    def narrowed(self, entries: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
        """Those of the entries that are asked for; of what cannot be read, nothing is asked."""
        given = self.cleaned_data if self.is_bound and not self.errors else {}
        if who := given.get("who"):
            entries = entries.filter(actor=None if who == NOBODY else int(who))
        if kind := given.get("kind"):
            entries = entries.filter(verb__in=KINDS[kind][1])
        if since := given.get("since"):
            entries = entries.filter(at__date__gte=since)
        return entries
