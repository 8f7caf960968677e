"""Chosen and rejected, for reward models: the decided pairs alone, the better one first."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from evalhub.studies.models import Study
from raters.exports.pairs import pairs
from raters.exports.pictures import Pictures
from raters.exports.preferences import given
from raters.exports.selection import Selection
from raters.exports.tables import Row, Table

if TYPE_CHECKING:
    import pyarrow


def rewards(study: Study, selection: Selection) -> Table:
    """One row per question and pair of samples that was decided; `strength` is the share of votes for the chosen one,
    undecided ones halved, which a loss may be weighed by."""
    selection = replace(selection, decided=True)
    about = {"study": study.slug, "consent_version": study.consent_version, "selection": selection.said}
    return Table("rewards", _schema(study), lambda: _rows(study, selection), about)


def _schema(study: Study) -> "pyarrow.Schema":
    import pyarrow

    return pyarrow.schema(
        [
            ("prompt", pyarrow.string()),
            ("chosen", pyarrow.binary()),
            ("rejected", pyarrow.binary()),
            ("strength", pyarrow.float64()),
            ("votes", pyarrow.int64()),
            ("agreement", pyarrow.float64()),
            ("criterion", pyarrow.string()),
            ("chosen_model", pyarrow.string()),
            ("rejected_model", pyarrow.string()),
            ("chosen_uid", pyarrow.string()),
            ("rejected_uid", pyarrow.string()),
            ("key", pyarrow.string()),
            ("tags", pyarrow.list_(pyarrow.string())),
            ("split", pyarrow.string()),
            *((name, pyarrow.binary()) for name in given(study)),
        ]
    )


def _rows(study: Study, selection: Selection) -> Iterator[Row]:
    extras, pictures = given(study), Pictures()
    for pair in pairs(study, selection):
        chosen, rejected = pair.samples if pair.label == 1.0 else pair.samples[::-1]
        yield {
            "prompt": pair.prompt.text,
            "chosen": pictures.of(pair.prompt, chosen.media),
            "rejected": pictures.of(pair.prompt, rejected.media),
            "strength": pair.share if pair.label == 1.0 else 1 - pair.share,
            "votes": pair.votes,
            "agreement": pair.agreement,
            "criterion": pair.criterion,
            "chosen_model": str(chosen.checkpoint),
            "rejected_model": str(rejected.checkpoint),
            "chosen_uid": chosen.media.sha256,
            "rejected_uid": rejected.media.sha256,
            "key": pair.prompt.key,
            "tags": list(pair.prompt.tags),
            "split": pair.split,
            **pictures.attached(pair.prompt, extras),
        }
