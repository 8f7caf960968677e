"""What a rater says besides her answers: reasons, where it is wrong, a few words, and how long she was away."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from django.utils.translation import gettext as _

from evalhub.problems import Refusal
from evalhub.studies.models import Modality, Study
from raters.models import Comparison, Remark, Side

LONGEST_COMMENT = 1000
LONGEST_AWAY = timedelta(days=1)
PLACES = 4  # decimals that are kept of a place on a picture
LONGEST_VIDEO = timedelta(days=1)
_SHARES = ("x", "y", "width", "height")


@dataclass(frozen=True)
class Region:
    """A rectangle on one side in shares of its width and height, from its upper left corner; a point has no size.

    Args:
        seconds: when in a video the frame begins on which it was marked; None on a picture.
    """

    side: str
    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    seconds: float | None = None


def region_from(text: str) -> Region | None:
    """Read a region as the browser sends it, a JSON object; None for an empty text. Refusal for anything else."""
    if not text:
        return None
    try:
        given = json.loads(text)
        seconds = given.get("seconds")
        shares = (float(given[name]) for name in _SHARES)
        region = replace(Region(given["side"], *shares), seconds=None if seconds is None else float(seconds))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise Refusal(
            _(
                "A marked place is a JSON object with side, x, y, width and height, got “%(given)s”; reload the page "
                "and mark it again."
            )
            % {"given": text[:80]}
        ) from None
    return region


def region_text(remark: Remark | None) -> str:
    """What `region_from` reads again; empty without a region."""
    if remark is None or not remark.side:
        return ""
    told = {name: getattr(remark, name) for name in ("side", *_SHARES, "seconds")}
    return json.dumps({name: value for name, value in told.items() if value is not None})


def checked_region(study: Study, region: Region | None) -> Region | None:
    """The region, rounded. Refusal where the study asks for none, or when it does not lie on a side."""
    if region is None:
        return None
    if not study.asks_region:
        raise Refusal(_("This study takes no marked places; reload the page and answer again."))
    left, top, right, bottom = region.x, region.y, region.x + region.width, region.y + region.height
    inside = 0 <= left <= right <= 1 + 10**-PLACES and 0 <= top <= bottom <= 1 + 10**-PLACES
    if region.side not in Side.values or not inside:
        raise Refusal(
            _(
                "A marked place lies on the left or the right side, within shares from 0 to 1 of its width and height; "
                "got “%(side)s” from %(left)s, %(top)s to %(right)s, %(bottom)s. Mark it again."
            )
            % {"side": str(region.side)[:20], "left": left, "top": top, "right": right, "bottom": bottom}
        )
    shares = (min(1.0, round(getattr(region, name), PLACES)) for name in _SHARES)
    return replace(Region(region.side, *shares), seconds=_checked_time(study, region.seconds))


def _checked_time(study: Study, seconds: float | None) -> float | None:
    if seconds is None:
        return None
    if study.modality != Modality.VIDEO or not 0 <= seconds <= LONGEST_VIDEO.total_seconds():
        raise Refusal(
            _("Only a place on a video has a time, in seconds from its beginning, got %(given)s; mark it again.")
            % {"given": seconds}
        )
    return round(seconds, 3)


def checked_reasons(study: Study, reasons: Collection[str]) -> list[str]:
    """The reasons in the study's order, each once. Refusal for one that the study does not offer."""
    if unknown := [reason for reason in reasons if reason not in study.reason_tags]:
        raise Refusal(
            _("“%(given)s” is no reason of this study, which offers %(expected)s; reload the page and answer again.")
            % {"given": unknown[0][:80], "expected": ", ".join(study.reason_tags) or _("none")}
        )
    return [reason for reason in study.reason_tags if reason in reasons]


def checked_comment(comment: str) -> str:
    """The comment without space around it. Refusal for one that is too long or no text."""
    comment = comment.replace("\r\n", "\n").strip()
    if len(comment) > LONGEST_COMMENT or "\0" in comment:
        raise Refusal(
            _("A comment is a text of at most %(most)s characters, got %(given)s; make it shorter.")
            % {"most": LONGEST_COMMENT, "given": len(comment)}
        )
    return comment


def checked_answer_comment(study: Study, comment: str) -> str:
    """As `checked_comment`; Refusal also where the study asks for none."""
    if comment.strip() and not study.asks_comment:
        raise Refusal(_("This study takes no comments; reload the page and answer again."))
    return checked_comment(comment)


def possible_away(milliseconds: int) -> int:
    """What the browser measured, or 0 where that cannot be."""
    return milliseconds if 0 <= milliseconds <= LONGEST_AWAY.total_seconds() * 1000 else 0


def keep_remark(
    *, comparison: Comparison, revision: int, region: Region | None, comment: str, away_milliseconds: int
) -> None:
    """Write what came with this revision of an answer; nothing where there is nothing to say."""
    if not (region or comment or away_milliseconds):
        return
    place = asdict(region) if region else {}
    Remark.objects.create(
        comparison=comparison, revision=revision, comment=comment, away_milliseconds=away_milliseconds, **place
    )


def said_before(comparison: Comparison) -> tuple[Sequence[str], Remark | None]:
    """The reasons and the remark of her last answer to the comparison, which an undo has withdrawn."""
    answer = comparison.votes.exclude(choice="withdrawn").order_by("-revision").first()
    if answer is None:
        return [], None
    return answer.reasons, comparison.remarks.filter(revision=answer.revision).first()
