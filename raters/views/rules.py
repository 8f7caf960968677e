"""What a study asks of its raters and pays them, for its owners; and what comes of it for each rater."""

import csv
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from evalhub.problems import Refusal
from evalhub.sheets import harmless
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Study
from raters.models import RaterRules
from raters.services import telling
from raters.services.enrolling import BY_RULE
from raters.services.rules import FAIR_SHARE, LEAST_CONTROLS, Account, accounts, change_rules, rules_of

ON_A_PAGE = 100


def _percent(label: str, help_text: str) -> forms.FloatField:
    """A share, typed in percent; empty for none."""
    return forms.FloatField(required=False, min_value=0, max_value=100, label=f"{label} (%)", help_text=help_text)


def _number(label: str, help_text: str, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(required=False, min_value=least, max_value=most, label=label, help_text=help_text)


class RulesForm(forms.Form):
    """The rules as an owner types them; empty fields ask for nothing."""

    PERCENT = ("qualification_share", "accept_gold_share", "use_gold_share", "use_repeat_share")
    GROUPS = (
        (
            "Before and while they compare",
            ("least_width", "least_height", "break_after_minutes", "qualification_share"),
        ),
        ("Controls among the comparisons", ("gold_every", "repeat_every", "shows_consistency")),
        ("Who is paid", ("pay_per_comparison", "currency", "accept_gold_share", "accept_median_seconds")),
        ("Whose answers are used", ("use_gold_share", "use_repeat_share", "use_median_seconds")),
    )

    least_width = _number("Least width of the window", "In CSS pixels.", 1, 20_000)
    least_height = _number("Least height of the window", "In CSS pixels.", 1, 20_000)
    break_after_minutes = _number("A break after so many minutes", "Offered, not forced.", 1, 600)
    qualification_share = _percent(
        "Right answers that qualify",
        "Of the pairs to qualify by; a rater may try twice. More than 90 % turns away people who look.",
    )
    gold_every = _number(
        "One known answer in so many comparisons", "On average, by chance; from 2 on. About 10 is usual.", 2, 10_000
    )
    repeat_every = _number(
        "One repeat in so many comparisons",
        "An older pair of hers again, sides swapped; on average, by chance; from 2 on. About 10 is usual.",
        2,
        10_000,
    )
    shows_consistency = forms.BooleanField(
        required=False,
        label="A rater sees how consistent she is",
        help_text="On her own page: how many known answers she found, and how often she answered as before.",
    )
    pay_per_comparison = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=8,
        decimal_places=4,
        label="Pay for a pair",
        help_text="For every pair answered, controls and practice included. Raters are told before they begin.",
    )
    currency = forms.RegexField(r"^[A-Za-z]{3}$", required=False, max_length=3, help_text="Three letters, such as USD.")
    accept_gold_share = _percent("Paid with at least so many known answers found", "")
    accept_median_seconds = forms.FloatField(
        required=False, min_value=0, max_value=3600, label="Paid from a median look of so many seconds on"
    )
    use_gold_share = _percent("Used with at least so many known answers found", "")
    use_repeat_share = _percent(
        "Used with at least so many repeats as before",
        "On close pairs attentive people repeat themselves in about two of three; more than 60 % needs obvious pairs.",
    )
    use_median_seconds = forms.FloatField(
        required=False, min_value=0, max_value=3600, label="Used from a median look of so many seconds on"
    )

    @classmethod
    def of(cls, rules: RaterRules) -> "RulesForm":
        initial = {name: getattr(rules, name) for name in cls.base_fields}
        for name in cls.PERCENT:
            initial[name] = None if initial[name] is None else f"{initial[name] * 100:g}"
        if rules.pay_per_comparison is not None:
            initial["pay_per_comparison"] = f"{rules.pay_per_comparison.normalize():f}"
        return cls(initial=initial)

    def values(self) -> dict[str, Any]:
        """What `change_rules` takes."""
        given = dict(self.cleaned_data)
        for name in self.PERCENT:
            given[name] = None if given[name] is None else given[name] / 100
        given["currency"] = (given["currency"] or "USD").upper()
        return given

    @property
    def grouped(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]


@login_required
@require_http_methods(["GET", "POST"])
def rater_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules, and for each rater what they come to; a POST sets them."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _page(request, actor, study)
    form = RulesForm(request.POST)
    try:
        if not form.is_valid():
            raise Refusal("No rule was changed; see what is said beside the fields.")
        change_rules(study=study, actor=actor.user, **form.values())
    except Refusal as refusal:
        return _page(request, actor, study, refusal, form)
    messages.success(request, "The rules are saved. Those for using answers take effect with the next ranking.")
    return redirect("rater_rules", study.slug)


@login_required
@require_GET
def pay(request: HttpRequest, slug: str) -> HttpResponse:
    """Everybody's pay as it stands now, as CSV."""
    study = get_study(Actor.of(request), slug, "manage")
    rules = rules_of(study)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    day = timezone.now().strftime("%Y-%m-%d")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-pay-{day}.csv"'
    writer = csv.writer(response)
    writer.writerow(["rater", "group", "pairs", "paid", "amount", "currency", "why", "used", "why_used"])
    for account in accounts(study):
        row = [
            str(account.enrolment.rater_id),
            account.enrolment.group,
            account.record.answered,
            "yes" if account.pay.is_yes else "no",
            "" if account.amount is None else account.amount,
            rules.currency if account.amount is not None else "",
            account.pay.sentence,
            "no" if _left_out(account) else "yes",
            _why_used(account),
        ]
        writer.writerow([harmless(value) for value in row])
    return response


def _left_out(account: Account) -> bool:
    """Whether rankings leave her answers out now, whoever decided that."""
    return account.enrolment.excluded_at is not None or account.enrolment.withdrawn_at is not None


def _why_used(account: Account) -> str:
    """Why her answers are used, or not."""
    enrolment = account.enrolment
    if enrolment.withdrawn_at is not None:
        return "She took back her consent."
    if enrolment.excluded_at is not None:
        return enrolment.exclusion_reason.removeprefix(BY_RULE)
    if enrolment.rule_waived_at is not None and not account.use.is_yes:
        return f"An owner keeps them, though: {account.use.sentence}"
    if not account.use.is_yes:
        return f"Left out from the next ranking on: {account.use.sentence}"
    return account.use.sentence


def _page(
    request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None, form: RulesForm | None = None
) -> HttpResponse:
    rules, all_accounts = rules_of(study), accounts(study)
    due = [account.amount for account in all_accounts if account.amount]
    page = Paginator(all_accounts, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "section": "rules",
        "form": form or RulesForm.of(rules),
        "rules": rules,
        "page": page,
        "rows": [{"account": one, "left_out": _left_out(one), "why_used": _why_used(one)} for one in page],
        "paid_raters": len(due),
        "total": telling.money(sum(due)) if due else None,
        "coming": telling.what_comes(study),
        "told": telling.what_is_paid(study),
        "warnings": _warnings(rules),
        "few": LEAST_CONTROLS,
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/rules.html", context, status=refusal.status if refusal else 200)


def _warnings(rules: RaterRules) -> list[str]:
    """Rules that honest people break."""
    said = []
    shares = (
        (rules.qualification_share, "qualifying"),
        (rules.accept_gold_share, "paying"),
        (rules.use_gold_share, "using answers"),
    )
    strict = [what for share, what in shares if share is not None and share > FAIR_SHARE]
    if strict:
        said.append(
            f"For {' and '.join(strict)} more than {FAIR_SHARE:.0%} of the known answers are asked for. People who "
            "look agree with obvious ones in about 94 of 100, so a few of them will fail by chance."
        )
    judged = (rules.accept_gold_share, rules.use_gold_share)
    if rules.gold_every is None and any(share is not None for share in judged):
        said.append("Known answers are to be found, but the rules mix in none, so nobody is judged by them.")
    if rules.repeat_every is None and rules.use_repeat_share is not None:
        said.append("Repeats are to be answered as before, but the rules ask for none, so nobody is judged by them.")
    return said
