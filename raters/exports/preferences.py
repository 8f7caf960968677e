"""Preference pairs for Diffusion-DPO, in the column layout of Pick-a-Pic, with the pictures' own bytes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from evalhub.studies.models import Modality, Study
from raters.exports.pairs import Pair, pairs
from raters.exports.pictures import Pictures
from raters.exports.selection import Selection
from raters.exports.tables import Row, Table

if TYPE_CHECKING:
    import pyarrow


def preferences(study: Study, selection: Selection) -> Table:
    """One row per question and pair of samples.

    The columns are Pick-a-Pic's, then EvalHub's own: `votes`, `share_0`, `agreement`, `both_bad`, `criterion`,
    `prompt`, `tags`, `split`. Editing studies add `source` and `mask`. A video study's outputs are in `video_0` and
    `video_1` instead of `jpg_0` and `jpg_1`. Bytes are those that were submitted, whatever their format.
    """
    about = {"study": study.slug, "consent_version": study.consent_version, "selection": selection.said}
    return Table("preferences", _schema(study), lambda: _rows(study, selection), about)


def outputs(study: Study) -> tuple[str, str]:
    """What the columns of both outputs are called."""
    kind = "video" if study.modality == Modality.VIDEO else "jpg"
    return f"{kind}_0", f"{kind}_1"


def given(study: Study) -> list[str]:
    """Which pictures the prompts of the study come with, of those that a model is given."""
    return [name for name in ("source", "mask") if study.prompts.filter(**{f"{name}__isnull": False}).exists()]


def _schema(study: Study) -> "pyarrow.Schema":
    import pyarrow

    first, second = outputs(study)
    return pyarrow.schema(
        [
            ("caption", pyarrow.string()),
            (first, pyarrow.binary()),
            (second, pyarrow.binary()),
            ("label_0", pyarrow.float64()),
            ("label_1", pyarrow.float64()),
            ("are_different", pyarrow.bool_()),
            ("has_label", pyarrow.bool_()),
            ("best_image_uid", pyarrow.string()),
            ("image_0_uid", pyarrow.string()),
            ("image_1_uid", pyarrow.string()),
            ("model_0", pyarrow.string()),
            ("model_1", pyarrow.string()),
            ("ranking_id", pyarrow.int64()),
            ("num_example_per_prompt", pyarrow.int64()),
            ("created_at", pyarrow.timestamp("us", tz="UTC")),
            ("votes", pyarrow.int64()),
            ("share_0", pyarrow.float64()),
            ("agreement", pyarrow.float64()),
            ("both_bad", pyarrow.int64()),
            ("criterion", pyarrow.string()),
            ("prompt", pyarrow.string()),
            ("tags", pyarrow.list_(pyarrow.string())),
            ("split", pyarrow.string()),
            *((name, pyarrow.binary()) for name in given(study)),
        ]
    )


def _rows(study: Study, selection: Selection) -> Iterator[Row]:
    names, extras, pictures = outputs(study), given(study), Pictures()
    for number, group in enumerate(_by_prompt(pairs(study, selection))):
        for pair in group:
            yield _row(pair, names, extras, pictures) | {"ranking_id": number, "num_example_per_prompt": len(group)}


def _by_prompt(found: Iterator[Pair]) -> Iterator[list[Pair]]:
    group: list[Pair] = []
    for pair in found:
        if group and (group[0].prompt.pk, group[0].criterion) != (pair.prompt.pk, pair.criterion):
            yield group
            group = []
        group.append(pair)
    if group:
        yield group


def _row(pair: Pair, names: tuple[str, str], extras: list[str], pictures: Pictures) -> dict[str, object]:
    first, second = pair.samples
    best = {1.0: first.media.sha256, 0.0: second.media.sha256}.get(pair.label, "tie")
    return {
        "caption": pair.prompt.text,
        names[0]: pictures.of(pair.prompt, first.media),
        names[1]: pictures.of(pair.prompt, second.media),
        "label_0": pair.label,
        "label_1": 1 - pair.label,
        "are_different": first.media.sha256 != second.media.sha256,
        "has_label": pair.label != 0.5,
        "best_image_uid": best,
        "image_0_uid": first.media.sha256,
        "image_1_uid": second.media.sha256,
        "model_0": str(first.checkpoint),
        "model_1": str(second.checkpoint),
        "created_at": pair.newest,
        "votes": pair.votes,
        "share_0": pair.share,
        "agreement": pair.agreement,
        "both_bad": pair.both_bad,
        "criterion": pair.criterion,
        "prompt": pair.prompt.key,
        "tags": list(pair.prompt.tags),
        "split": pair.split,
        **pictures.attached(pair.prompt, extras),
    }
