"""Every vote, one row each, with all that is known of how it came about."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from evalhub.studies.models import Study
from raters.exports.batches import in_batches
from raters.exports.selection import Selection
from raters.exports.splits import splits
from raters.exports.tables import Row, Table
from raters.models import Choice, Remark

if TYPE_CHECKING:
    import pyarrow

BATCH = 2_000

# What is read of each vote: the name it is written by, and the field.
_FIELDS = {
    "vote": "id",
    "comparison": "comparison_id",
    "revision": "revision",
    "criterion": "criterion__key",
    "prompt_id": "prompt_id",
    "prompt": "prompt__key",
    "caption": "prompt__text",
    "tags": "prompt__tags",
    "left_id": "left_checkpoint_id",
    "right_id": "right_checkpoint_id",
    "left_seed": "comparison__left__seed",
    "right_seed": "comparison__right__seed",
    "left_sha256": "comparison__left__media__sha256",
    "right_sha256": "comparison__right__media__sha256",
    "choice": "choice",
    "reasons": "reasons",
    "rater_id": "rater_id",
    "simulated": "simulated",
    "control": "control",
    "expected": "comparison__expected",
    "drawn_because": "comparison__reason",
    "propensity": "comparison__propensity",
    "milliseconds": "milliseconds",
    "without_javascript": "without_javascript",
    "shown_at": "comparison__shown_at",
    "answered_at": "created_at",
}
_REMARK = {
    "comment": "comment",
    "region_side": "side",
    "region_x": "x",
    "region_y": "y",
    "region_width": "width",
    "region_height": "height",
    "region_seconds": "seconds",
    "away_milliseconds": "away_milliseconds",
}


def votes(study: Study, selection: Selection) -> Table:
    """Standing votes in the order in which they were cast; checkpoints by name, raters by pseudonym."""
    about = {"study": study.slug, "consent_version": study.consent_version, "selection": selection.said}
    return Table("votes", _schema(), lambda: _rows(study, selection), about)


def _schema() -> "pyarrow.Schema":
    import pyarrow

    return pyarrow.schema(
        [
            ("vote", pyarrow.int64()),
            ("comparison", pyarrow.int64()),
            ("revision", pyarrow.int32()),
            ("criterion", pyarrow.string()),
            ("prompt", pyarrow.string()),
            ("caption", pyarrow.string()),
            ("tags", pyarrow.list_(pyarrow.string())),
            ("split", pyarrow.string()),
            ("left", pyarrow.string()),
            ("right", pyarrow.string()),
            ("left_seed", pyarrow.int64()),
            ("right_seed", pyarrow.int64()),
            ("left_sha256", pyarrow.string()),
            ("right_sha256", pyarrow.string()),
            ("choice", pyarrow.string()),
            ("winner", pyarrow.string()),
            ("reasons", pyarrow.list_(pyarrow.string())),
            ("comment", pyarrow.string()),
            ("region_side", pyarrow.string()),
            ("region_x", pyarrow.float64()),
            ("region_y", pyarrow.float64()),
            ("region_width", pyarrow.float64()),
            ("region_height", pyarrow.float64()),
            ("region_seconds", pyarrow.float64()),
            ("rater", pyarrow.string()),
            ("group", pyarrow.string()),
            ("simulated", pyarrow.bool_()),
            ("excluded", pyarrow.bool_()),
            ("control", pyarrow.string()),
            ("expected", pyarrow.string()),
            ("drawn_because", pyarrow.string()),
            ("propensity", pyarrow.float64()),
            ("milliseconds", pyarrow.int64()),
            ("away_milliseconds", pyarrow.int64()),
            ("without_javascript", pyarrow.bool_()),
            ("shown_at", pyarrow.timestamp("us", tz="UTC")),
            ("answered_at", pyarrow.timestamp("us", tz="UTC")),
        ]
    )


def _rows(study: Study, selection: Selection) -> Iterator[Row]:
    split_of = splits(study, selection)
    names = {checkpoint.pk: str(checkpoint) for checkpoint in study.checkpoints.all()}
    enrolled = study.enrolments.values_list("rater", "group", "excluded_at")
    people = {rater: (group, excluded is not None) for rater, group, excluded in enrolled}
    found = selection.votes(study).order_by("id")
    if selection.decided:
        found = found.filter(choice__in=[Choice.LEFT, Choice.RIGHT])
    for batch in in_batches(found.values_list(*_FIELDS.values()).iterator(BATCH), BATCH):
        rows = [dict(zip(_FIELDS, values, strict=True)) for values in batch]
        remarks = _remarks(rows)
        for row in rows:
            row["split"] = split_of[row.pop("prompt_id")]
            if selection.split and row["split"] != selection.split:
                continue
            row["left"], row["right"] = names[row.pop("left_id")], names[row.pop("right_id")]
            row["winner"] = row[row["choice"]] if row["choice"] in {Choice.LEFT, Choice.RIGHT} else ""
            rater = row.pop("rater_id")
            row["rater"] = str(rater)[:8]
            row["group"], row["excluded"] = people.get(rater, ("", False))
            yield row | remarks.get((row["comparison"], row["revision"]), _NOTHING)


_NOTHING: dict[str, Any] = {
    **dict.fromkeys(_REMARK),
    "comment": "",
    "region_side": "",
    "away_milliseconds": 0,
}


def _remarks(rows: list[dict[str, Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    """By comparison and revision: what was said besides the answer."""
    comparisons = {row["comparison"] for row in rows}
    found = Remark.objects.filter(comparison__in=comparisons).filter(
        ~Q(comment="", side="") | Q(away_milliseconds__gt=0)
    )
    values = found.values_list("comparison_id", "revision", *_REMARK.values())
    return {(comparison, revision): dict(zip(_REMARK, rest, strict=True)) for comparison, revision, *rest in values}
