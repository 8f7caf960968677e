"""A desk to try before there are raters: what one prompt would look like, from what the study has already."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from PIL import Image, ImageDraw, ImageFont

from evalhub.studies.models import Media, MediaKind, Prompt, Sample, Study
from raters.models import PresentationCopy
from raters.presentation import OUTLINE, WHOLE, Canvas, Shape, canvas, present, stills

LARGEST = 2048  # pixels a side: enough to judge a desk by, and drawn while somebody waits
EMPTY = (1024, 1024)
SIDES = ("left", "right")
GREY, INK = (118, 118, 118), (35, 35, 35)


@dataclass(frozen=True)
class Trial:
    """One prompt on the desk.

    Args:
        sides: what stands there: two outputs; without them what the prompt gives; None is drawn as an empty place.
        given: what the prompt gives besides, by name.
        are_outputs: whether the sides are what contestants delivered.
    """

    study: Study
    prompt: Prompt
    canvas: Canvas
    sides: tuple[Media | None, Media | None]
    given: dict[str, Media] = field(default_factory=dict)
    are_outputs: bool = False


def trial(*, study: Study, number: int) -> Trial | None:
    """The prompt of that number, from one on; nothing where there is none."""
    prompts = study.prompts.select_related(*Prompt.GIVEN)
    prompt = prompts[number - 1 : number].get() if 0 < number <= prompts.count() else None
    if prompt is None:
        return None
    competing = study.checkpoints.competing()
    samples = Sample.objects.filter(prompt=prompt, checkpoint__in=competing).select_related("media")
    outputs = list(
        {sample.checkpoint_id: sample.media for sample in samples.order_by("checkpoint__name", "-seed")}.values()
    )
    given = {name: getattr(prompt, name) for name in Prompt.GIVEN if getattr(prompt, name) is not None}
    standing = [media for name, media in given.items() if name != "mask" and media.kind == study.modality]
    are_outputs = len(outputs) > 1
    pair = outputs[:2] if are_outputs else standing[-1:] + standing[:1]
    still = {name: media for name, media in given.items() if media.kind == MediaKind.IMAGE}  # as raters are given it
    sides = (pair[0], pair[1]) if pair else (None, None)
    return Trial(study, prompt, _canvas(study, pair), sides, still, are_outputs)


def ready_copy(study: Study, media: Media) -> PresentationCopy | None:
    """The file as raters are shown it, where that is made already and is one file."""
    copies = PresentationCopy.objects.ready().in_force().filter(study=study, media=media)
    return next((copy for copy in copies if not copy.is_tiled and copy.policy != OUTLINE), None)


def draw(trial: Trial, name: str) -> tuple[bytes, str]:
    """A picture of a side or of what the prompt gives, drawn now, and its content type. KeyError for another name."""
    media = dict(zip(SIDES, trial.sides, strict=True))[name] if name in SIDES else trial.given[name]
    if media is None:
        return _empty(SIDES.index(name)), "image/webp"
    policy = OUTLINE if name == "mask" else WHOLE
    settings.UPLOAD_FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=settings.UPLOAD_FOLDER, suffix=".part") as folder,
        default_storage.open(media.path) as file,
    ):
        path = Path(folder, "copy")
        present(policy, file, media.format, Shape(media.width, media.height), trial.canvas, path)
        return path.read_bytes(), "image/svg+xml" if policy == OUTLINE else "image/webp"


def _canvas(study: Study, shown: list[Media]) -> Canvas:
    edge = min(study.presentation_edge, LARGEST)
    shapes = [Shape(media.width, media.height, media.fps or 0, media.duration or 0) for media in shown]
    if not shapes:
        return Canvas(*EMPTY)
    if all(media.kind == MediaKind.VIDEO for media in shown):
        copies = [ready_copy(study, media) for media in shown]
        if copies[0] is not None:
            return Canvas(copies[0].width, copies[0].height, copies[0].rate, copies[0].frames)
    return canvas(shown[0].kind, shapes, edge)


def _empty(place: int) -> bytes:
    """A grey picture with a letter: where an output will stand."""
    picture = Image.new("RGB", EMPTY, GREY)
    ink = ImageDraw.Draw(picture)
    ink.rectangle((8, 8, EMPTY[0] - 9, EMPTY[1] - 9), outline=INK, width=4)
    middle = (EMPTY[0] / 2, EMPTY[1] / 2)
    ink.text(middle, "AB"[place], fill=INK, anchor="mm", font=ImageFont.load_default(320))
    return stills.encode(picture)
