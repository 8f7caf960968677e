"""A dataset's card: where it comes from, how much there is, how far people agreed, what it may be used for."""

from django.db.models import Count

from evalhub.studies.models import Study
from raters.exports.selection import SPLITS, Selection
from raters.exports.totals import totals
from raters.models import Enrolment
from raters.services import fit_of


def card(study: Study, selection: Selection) -> str:
    """Markdown with the head that dataset hubs read; `load_dataset` finds the files in `data/` by it."""
    counts = totals(study, selection).pairs
    there = [split for split in SPLITS if counts[split]]
    lines = [
        "---",
        f"pretty_name: {_quoted(study.name)}",
        f"license_name: {_quoted(study.licence or 'unknown')}",
        "license: other",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(line for split in there for line in (f"  - split: {split}", f"    path: data/{split}.parquet")),
        "---",
        "",
        f"# {_line(study.name)}",
        "",
        *([study.description, ""] if study.description else []),
        f"Blinded side-by-side comparisons of {study.get_modality_display().lower()}, made with EvalHub in the study "
        f"`{study.slug}`.",
        "",
        "| split | pairs |",
        "| --- | ---: |",
        *(f"| {split} | {counts[split]:,} |" for split in SPLITS),
        "",
        "No prompt is in two splits; prompts with the same words or the same source picture are in the same one.",
        "",
        "## Questions",
        "",
        *_questions(study, selection),
        "",
        "## Votes",
        "",
        *_votes(study, selection),
        "",
        "## Consent and licence",
        "",
        f"- Raters agreed to version {study.consent_version} of the study's consent text."
        if study.consent
        else "- The study asked its raters for no consent text.",
        f"- Outputs and prompts: {_line(study.licence)}."
        if study.licence
        else "- The study's owners have not said under which licence its outputs and prompts may be used: ask them.",
        "- Raters are named by pseudonyms; votes of whoever has withdrawn her consent are left out.",
        "",
        "## Selection",
        "",
        *(f"- `{name}`: {value}" for name, value in selection.said.items() if name not in {"split"}),
        "",
    ]
    return "\n".join(lines)


def _questions(study: Study, selection: Selection) -> list[str]:
    """Each with how far people agreed on it, as the newest ranking says."""
    lines = []
    for criterion in study.criteria.all():
        if selection.criterion not in {None, criterion}:
            continue
        fit = fit_of(study=study, criterion=criterion)
        alpha = fit.agreement.get("alpha") if fit else None
        said = "too few votes to say how far people agree" if alpha is None else f"Krippendorff's alpha {alpha:.2f}"
        lines.append(f"- `{criterion.key}` “{_line(criterion.question)}”: {said}")
    return lines


def _votes(study: Study, selection: Selection) -> list[str]:
    totals = selection.votes(study).aggregate(
        votes=Count("pk"), raters=Count("rater", distinct=True), prompts=Count("prompt", distinct=True)
    )
    lines = [f"- {totals['votes']:,} votes of {totals['raters']:,} raters on {totals['prompts']:,} prompts."]
    if selection.simulated:
        simulated = selection.votes(study).filter(simulated=True).count()
        lines.append(f"- {simulated:,} of these votes are simulated: no person gave them.")
    cast_elsewhere = Enrolment.objects.filter(study=study, vote_import__isnull=False).values("rater")
    if imported := selection.votes(study).filter(rater__in=cast_elsewhere).count():
        lines.append(
            f"- {imported:,} of these votes were cast elsewhere and imported; what those raters agreed to is not known."
        )
    return lines


def _line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    return '"' + _line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
