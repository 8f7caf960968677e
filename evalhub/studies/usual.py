"""What studies usually ask, and what raters usually say: to choose from, in place of an empty form."""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from evalhub.studies.models import Modality


@dataclass(frozen=True)
class Usual:
    """A question that many studies ask; `videos` only where something moves, `edits` only where there is a source."""

    key: str
    name: str
    question: str
    videos: bool = False
    edits: bool = False


QUESTIONS = (
    Usual("quality", "Quality", "Which one is better?"),
    Usual("alignment", "Alignment", "Which one follows the prompt better?"),
    Usual("realism", "Realism", "Which one looks more real?"),
    Usual("detail", "Detail", "Which one has more true detail?"),
    Usual("aesthetics", "Aesthetics", "Which one would you rather look at?"),
    Usual("text", "Text", "In which one is the writing more correct?"),
    Usual("edit", "Edit", "Which one carries out the instruction better?", edits=True),
    Usual("preservation", "Preservation", "Which one keeps better what was to stay?", edits=True),
    Usual("fidelity", "Fidelity", "Which one is truer to the reference?", edits=True),
    Usual("motion", "Motion", "Which one moves more naturally?", videos=True),
    Usual("stability", "Stability", "Which one flickers and changes less?", videos=True),
)

# Shown to raters in their own language, for these are not an owner's own words.
REASONS = (
    _("Artefacts"),
    _("Anatomy"),
    _("Text in it is wrong"),
    _("Does not follow the prompt"),
    _("Blurred"),
    _("Colours or light"),
    _("Composition"),
    _("Looks artificial"),
    _("Changed what should have stayed"),
)
REASONS_OF_VIDEOS = (_("Flickers"), _("Unnatural motion"), _("Things appear or vanish"))


def questions_for(modality: str) -> list[Usual]:
    return [usual for usual in QUESTIONS if modality == Modality.VIDEO or not usual.videos]


def reasons_for(modality: str) -> tuple[str, ...]:
    return REASONS + REASONS_OF_VIDEOS if modality == Modality.VIDEO else REASONS
