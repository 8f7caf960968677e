"""Which metrics fit a submission: what its study offers, what is in the way of each, and what nobody need choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, F, Q

from evalhub.problems import Refusal
from evalhub.studies.models import Modality, Prompt, Sample, Study, Submission
from metrics.engine.catalogue import get_weights_spec
from metrics.engine.columns import COLUMNS, Role
from metrics.engine.errors import BadInput
from metrics.engine.registry import METRICS, MetricSpec, Need, get_metric
from metrics.models import Reference, Weights

# What a submission's own run takes, where the study offers what each needs: what costs little beside FID and LPIPS.
# DISTS, VGG and all that needs a large network are there for whoever asks.
AUTOMATIC = (
    "fid",
    "kid",
    "lpips",
    "clip_score",
    "psnr",
    "ssim",
    "clip_directional",
    "lpips_outside",
    "psnr_outside",
    "frame_consistency",
)
# What the prompt has that plays a role, and what a person calls it.
_BESIDE = {Role.REFERENCE: "reference", Role.SOURCE: "source", Role.MASK: "mask"}
_TEXTS = {Role.CAPTION: "text", Role.SOURCE_CAPTION: "source_text"}
_CALLED = {**_BESIDE, Role.CAPTION: "text", Role.SOURCE_CAPTION: "source text"}


@dataclass(frozen=True)
class Material:
    """What a submission and its study offer to metrics, counted.

    Attributes:
        samples: of the submission; references: images of the study's reference set.
        having: samples whose prompt has a picture or text of this role.
        resized: samples of another size than their prompt's picture of this role.
    """

    samples: int
    references: int
    having: Mapping[Role, int]
    resized: Mapping[Role, int]

    def offers(self, metric: MetricSpec) -> bool:
        """Whether the study has the kind of thing that the metric needs at all."""
        if Need.REFERENCE_SET in metric.needs and not self.references:
            return False
        return all(self.having[role] for role in metric.roles)

    def obstacle(self, metric: MetricSpec) -> str:
        """Why the metric cannot be computed, as one sentence; empty when it can."""
        if Need.REFERENCE_SET in metric.needs and min(self.references, self.samples) < 2:
            return (
                f"{metric.title} compares at least 2 samples with at least 2 reference images; "
                f"here are {self.samples:,} and {self.references:,}."
            )
        for role in metric.roles:
            if missing := self.samples - self.having[role]:
                return (
                    f"{metric.title} compares each sample with its prompt's {_CALLED[role]}, "
                    f"and {missing:,} of {self.samples:,} have none."
                )
        for role in _of_one_size(metric):
            if self.resized[role]:
                return (
                    f"{metric.title} needs each sample in the size of its prompt's {_CALLED[role]}; "
                    f"{self.resized[role]:,} of {self.samples:,} have another: submit them in that size as a new "
                    "checkpoint."
                )
        return ""


@dataclass(frozen=True)
class Choice:
    """One metric as it is offered for a submission.

    Attributes:
        obstacle: why it cannot be computed here; waits: why it would wait for weights. Sentences, or empty.
        automatic: whether the submission's own run takes it.
    """

    metric: MetricSpec
    group: str
    obstacle: str
    waits: str
    automatic: bool


def choices(submission: Submission) -> list[Choice]:
    """Every metric that there is, group by group."""
    material = material_of(submission)
    here = set(Weights.objects.values_list("name", flat=True))
    taken = {metric.name for metric in default_metrics(submission, material)}
    found = [
        Choice(
            metric=metric,
            group=group_of(metric),
            obstacle=_modality_obstacle(submission, metric) or material.obstacle(metric),
            waits=how_to_get(metric) if any(map(_brought_by_operator, set(metric.weights) - here)) else "",
            automatic=metric.name in taken,
        )
        for metric in METRICS.values()
    ]
    return sorted(found, key=lambda choice: GROUPS.index(choice.group))


GROUPS = ("Distributions", "Prompts", "Pairs", "Editing", "Video")


def group_of(metric: MetricSpec) -> str:
    """Under which heading a metric is offered: by what it compares the samples with."""
    roles = set(metric.roles)
    if Modality.IMAGE not in metric.modalities:
        return "Video"
    if Need.REFERENCE_SET in metric.needs:
        return "Distributions"
    if roles & {Role.SOURCE, Role.MASK, Role.SOURCE_CAPTION}:
        return "Editing"
    return "Prompts" if Role.CAPTION in roles else "Pairs"


def default_metrics(submission: Submission, material: Material | None = None) -> list[MetricSpec]:
    """Those of the automatic run, as far as the study has what each needs."""
    material = material or material_of(submission)
    return [
        metric
        for metric in map(get_metric, AUTOMATIC)
        if not _modality_obstacle(submission, metric) and material.offers(metric)
    ]


def chosen_metrics(submission: Submission, names: Sequence[str] | None) -> list[MetricSpec]:
    """The metrics of these names, or the automatic ones.

    Raises: Refusal when a name is unknown, or a metric that was asked for cannot be computed here.
    """
    material = material_of(submission)
    if names is None:
        if chosen := default_metrics(submission, material):
            return chosen
        raise Refusal(
            "No metric fits this study: FID and LPIPS need prompts with reference images, CLIPScore needs prompts with "
            "texts; give the prompts those, or choose the metrics by name."
        )
    if not names:
        raise Refusal("A run needs at least one metric; name some, or leave the list out for the usual ones.")
    try:
        chosen = [get_metric(name) for name in dict.fromkeys(names)]
    except BadInput as problem:
        raise Refusal(str(problem)) from problem
    obstacles = [_modality_obstacle(submission, metric) or material.obstacle(metric) for metric in chosen]
    if any(obstacles):
        raise Refusal(" ".join(dict.fromkeys(obstacle for obstacle in obstacles if obstacle)))
    return chosen


def material_of(submission: Submission) -> Material:
    """The counts that decide which metrics can be computed."""
    prompts = Prompt.objects.filter(study=submission.checkpoint.study_id)
    given = prompts.aggregate(**{field: Count(field) for field in _BESIDE.values()})
    counts: dict[str, Count] = {"samples": Count("pk")}
    for field in (field for field, number in given.items() if number):  # of what no prompt has, nothing is joined
        has = Q(**{f"prompt__{field}__isnull": False})
        same = Q(media__width=F(f"prompt__{field}__width"), media__height=F(f"prompt__{field}__height"))
        counts[f"{field}_having"] = Count("pk", filter=has)
        counts[f"{field}_resized"] = Count("pk", filter=has & ~same)
    for field in _TEXTS.values():
        counts[f"{field}_having"] = Count("pk", filter=~Q(**{f"prompt__{field}": ""}))
    found = Sample.objects.filter(checkpoint=submission.checkpoint_id).aggregate(**counts)
    imported = imported_reference(submission.checkpoint.study)
    references = imported.images.count() if imported else given["reference"]
    return Material(
        samples=found["samples"],
        references=references,
        having={role: found.get(f"{field}_having", 0) for role, field in (_BESIDE | _TEXTS).items()},
        resized={role: found.get(f"{field}_resized", 0) for role, field in _BESIDE.items()},
    )


def imported_reference(study: Study) -> Reference | None:
    """The newest set of references that came from a folder: what a study's runs compare with, once it has one."""
    return Reference.objects.filter(study=study, imported_at__isnull=False).order_by("-imported_at").first()


def _of_one_size(metric: MetricSpec) -> list[Role]:
    """Pictures that go through one maker together with the sample, which takes pictures of one size."""
    together = (COLUMNS[column].roles for column in metric.columns if Role.SAMPLE in COLUMNS[column].roles)
    return list(dict.fromkeys(role for roles in together for role in roles if role in _BESIDE))


def _modality_obstacle(submission: Submission, metric: MetricSpec) -> str:
    modality = submission.checkpoint.study.modality
    if modality in metric.modalities:
        return ""
    told = {Modality.IMAGE: ("videos", "images"), Modality.VIDEO: ("images", "videos")}
    scored, given = told[Modality(modality)]
    return f"{metric.title} scores {scored}, and this study's outputs are {given}."


def how_to_get(metric: MetricSpec) -> str:
    """What an operator does about a metric's weights."""
    commands = [
        f"`python manage.py weights import {name} FILE`"
        if _brought_by_operator(name)
        else f"`python manage.py weights pull {name}`"
        for name in metric.weights
    ]
    return (
        f"{metric.title} waits for its weights; whoever runs this site gets them with {' and '.join(commands)}, "
        "and the score follows by itself."
    )


def _brought_by_operator(name: str) -> bool:
    return get_weights_spec(name).any_checkpoint
