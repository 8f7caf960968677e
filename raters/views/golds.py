"""Known answers, for a study's owners: which pairs teach, qualify and control, and how raters do on each."""

import csv
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from evalhub.problems import Refusal
from evalhub.sheets import harmless
from evalhub.studies.access import Actor, get_study, role_in
from evalhub.studies.models import Criterion, Prompt, Sample, Study, SubmissionState
from raters.models import Gold, GoldUse
from raters.services import gold_lists, golds
from raters.services.rules import rules_of

ON_A_PAGE = 25
SUGGESTED = 1_000  # keys of prompts that the page offers while one is typed


class GoldForm(forms.Form):
    """What is said of a pair whose outputs are chosen beside their pictures."""

    use = forms.ChoiceField(
        choices=GoldUse,
        initial=GoldUse.CONTROL,
        help_text="Training is explained after the answer; qualification decides who goes on; a control is mixed in "
        "among the comparisons and looks like any other.",
    )
    criterion: "forms.ModelChoiceField[Criterion]" = forms.ModelChoiceField(
        None, required=False, label="Question", empty_label="All questions", help_text="On which it is the better one."
    )
    explanation = forms.CharField(
        required=False,
        max_length=golds.LONGEST_EXPLANATION,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Markdown, shown after the answer in training.",
    )

    def __init__(self, study: Study, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        criterion = self.fields["criterion"]
        assert isinstance(criterion, forms.ModelChoiceField)
        criterion.queryset = study.criteria.all()


@login_required
@require_http_methods(["GET", "POST"])
def known_answers(request: HttpRequest, slug: str) -> HttpResponse:
    """The list; `?prompt=` chooses a pair of that prompt's outputs; a POST keeps one."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    if request.method == "GET":
        return _page(request, actor, study)
    form = GoldForm(study, request.POST)
    try:
        if not form.is_valid():
            raise Refusal("No known answer was added; see what is said beside the fields.")
        better, worse = (_chosen(study, request.POST.get(side, "")) for side in ("better", "worse"))
        gold = golds.add_gold(study=study, better=better, worse=worse, actor=actor.user, **form.cleaned_data)
    except Refusal as refusal:
        return _page(request, actor, study, refusal, form)
    messages.success(request, f"Added: {golds.describe(gold)}, for {gold.get_use_display().lower()}.")
    return redirect("known_answers", study.slug)


@login_required
@require_POST
def from_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Add those of a list."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    file = request.FILES.get("list")
    try:
        if file is None:
            raise Refusal("Choose a file: CSV or JSON lines with prompt, better, worse, use, criterion, explanation.")
        added = gold_lists.add_golds(study=study, actor=actor.user, file=file)
    except Refusal as refusal:
        return _page(request, actor, study, refusal)
    messages.success(request, f"Added {added:,} known answer{'' if added == 1 else 's'}.")
    return redirect("known_answers", study.slug)


@login_required
@require_GET
def as_file(request: HttpRequest, slug: str) -> HttpResponse:
    """Those in use as CSV, which can be read in again."""
    study = get_study(Actor.of(request), slug, "manage")
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-known-answers.csv"'
    writer = csv.writer(response)
    writer.writerow(gold_lists.COLUMNS)
    for row in gold_lists.as_rows(study):
        writer.writerow([harmless(row[column]) for column in gold_lists.COLUMNS])
    return response


@login_required
@require_POST
def retire(request: HttpRequest, slug: str, gold_id: int) -> HttpResponse:
    """Use one no more."""
    actor = Actor.of(request)
    study = get_study(actor, slug, "manage")
    gold = golds.retire_gold(gold=get_object_or_404(Gold, study=study, pk=gold_id), actor=actor.user)
    messages.success(request, f"Retired: {golds.describe(gold)}. It is held against nobody from now on.")
    return redirect("known_answers", study.slug)


def _chosen(study: Study, text: str) -> Sample:
    """The output chosen beside its picture."""
    samples = Sample.objects.select_related("checkpoint__submission", "prompt").filter(checkpoint__study=study)
    sample = samples.filter(pk=int(text)).first() if text.isascii() and text.isdigit() and len(text) < 18 else None
    if sample is None:
        raise Refusal("Choose the better and the worse output beside their pictures.")
    return sample


def _page(
    request: HttpRequest, actor: Actor, study: Study, refusal: Refusal | None = None, form: GoldForm | None = None
) -> HttpResponse:
    listed = study.golds.select_related(
        "better__media", "worse__media", "better__checkpoint", "worse__checkpoint", "better__prompt", "criterion"
    )
    if request.GET.get("use") in GoldUse.values:
        listed = listed.filter(use=request.GET["use"])
    if "retired" not in request.GET:
        listed = listed.filter(retired_at=None)
    page = Paginator(listed, ON_A_PAGE).get_page(request.GET.get("page"))
    found = golds.found_by_raters(study)
    key = request.POST.get("prompt") or request.GET.get("prompt", "")
    prompt = study.prompts.filter(key=key).first() if "\0" not in key else None
    if key and prompt is None and refusal is None:
        refusal = Refusal(f"The study has no prompt “{key[:80]}”; choose one of the list.")
    counts, rules = golds.counts(study), rules_of(study)
    context = {
        "study": study,
        "role": role_in(actor, study),
        "active": "raters",
        "section": "golds",
        "page": page,
        "rows": [{"gold": gold, "found": found.get(gold.pk)} for gold in page],
        "suspects": sum(one.is_suspect for one in found.values()),
        "uses": [(use, GoldUse(use).label, counts[use]) for use in GoldUse.values],
        "use": request.GET.get("use", ""),
        "retired": study.golds.exclude(retired_at=None).count(),
        "shows_retired": "retired" in request.GET,
        "warnings": _warnings(counts, rules.qualification_share is not None, rules.gold_every is not None),
        "prompt": prompt,
        "samples": _samples(prompt) if prompt else [],
        "keys": study.prompts.order_by("position", "key").values_list("key", flat=True)[:SUGGESTED],
        "form": form or GoldForm(study),
        "chosen": {side: request.POST.get(side, "") for side in ("better", "worse")},
        "columns": ", ".join(gold_lists.COLUMNS),
        "refusal": refusal.sentence if refusal else "",
    }
    return render(request, "raters/golds.html", context, status=refusal.status if refusal else 200)


def _samples(prompt: Prompt) -> list[Sample]:
    complete = Sample.objects.filter(prompt=prompt, checkpoint__submission__state=SubmissionState.COMPLETE)
    return list(complete.select_related("checkpoint", "media").order_by("checkpoint__name", "checkpoint__step", "seed"))


def _warnings(counts: dict[str, int], qualifies: bool, controls: bool) -> list[str]:
    """Where pairs and rules do not go together, so that nothing would come of them."""
    said = []
    if counts[GoldUse.QUALIFICATION] and not qualifies:
        said.append(
            "There are pairs to qualify by, but no threshold, so nobody is asked them; set one among the rules."
        )
    if qualifies and not counts[GoldUse.QUALIFICATION]:
        said.append("There is a threshold to qualify, but no pair to qualify by, so everybody goes on.")
    if counts[GoldUse.CONTROL] and not controls:
        said.append("There are controls, but the rules do not say how often they come, so they never do.")
    if controls and not counts[GoldUse.CONTROL]:
        said.append("The rules mix in known answers, but there is none for control, so none comes.")
    return said
